"""How a line of the log looks, whichever server writes it."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s"
