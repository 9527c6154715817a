"""What the engine takes of the machine: processors, memory, disks, threads, processes, a cache."""
