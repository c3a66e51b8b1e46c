"""`python -m sagelocal_serve` is `serve`, for environments whose scripts are not on PATH."""

from __future__ import annotations

import sys

from sagelocal_serve.cli import main

sys.exit(main())
