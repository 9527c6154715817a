"""Jobs: what runs in worker threads, and what this session knows of its runs."""
