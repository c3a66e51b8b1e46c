"""The process that fills the pipes of one host of a job; started by `sagelocal.runtime.feeding`.

    main.py      the process: one thread for each channel, epochs, its end
    stream.py    records -> bytes in a pipe
    unzip.py     gzip -> bytes
    ahead.py     the next objects unzipped while this one is written

Imports the standard library, `isal` and `sagelocal.domain` only: it starts in milliseconds.
"""
