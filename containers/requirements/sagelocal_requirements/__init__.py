"""A user's requirements.txt: installed inside the container, and kept for the next one.

    installer    the command that installs: pip, or uv where an environment has no pip
    complaints   what pip could not do, and the next step, from what it wrote
    identity     what a requirements.txt asks for, as a key; or why nobody can tell beforehand
    layer        packages in a folder of their own, on top of an environment
    shelf        the folder that keeps layers, which containers share

`shelved` gives a layer from the shelf, where there is one, and puts it there first if need be. In
the cloud there is none: then `installer` gives the command that installs into the environment.
"""

from sagelocal_requirements.complaints import explain
from sagelocal_requirements.installer import InstallerMissing, installer
from sagelocal_requirements.layer import Layer
from sagelocal_requirements.shelf import SHELF, shelved

__all__ = ["SHELF", "InstallerMissing", "Layer", "explain", "installer", "shelved"]
