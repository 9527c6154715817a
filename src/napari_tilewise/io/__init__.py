"""Sources and sinks: what is read stays lazy, what is written appears complete or not at all."""
