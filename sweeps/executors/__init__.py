"""Where the jobs of a sweep are done: on this machine's devices, or on those of a cluster; no job is known here."""
