"""The parent of one container that runs as plain processes; it lives on when the plane is killed.

One interpreter per container, started with `-I -S`: every import here is paid at each start of a
job, so these modules use what loads in a millisecond or two (no dataclasses, no pathlib, no
subprocess) and nothing outside the standard library.

    main.py        the order of events: start, relay the log, pass signals on, write the exit
    namespaces.py  mounts, host name and network of its own
    mounts.py      /opt/ml, and what else is mounted
    linux.py       system calls that Python lacks
    cgroups.py     memory and cpu limits, and whether the kernel killed for memory
    loglines.py    bytes of the pipe -> lines of the log file
    proc.py        what /proc says about processes; the plane uses it too
"""
