"""ECR: repositories that hold the images of one's own, and the families of `containers/`.

| module | job |
|---|---|
| `authorization` | the token of `docker login` |
| `repositories` | create, describe and delete; settings and tags |
| `policies` | repository and lifecycle policies |
| `images` | put, list, get and delete images |
| `families` | the image families, which answer as repositories of every registry |
| `found` | one repository of a request, whichever of both it is |

Pushed layers are not kept here: what a repository knows of an image is its manifest, and the image
itself is at the Docker engine that built it, or in the registry of `Settings.ecr_registry`.
"""

from __future__ import annotations

from sagelocal.services.calls import OperationTable
from sagelocal.services.ecr import authorization, images, policies, repositories

OPERATIONS: OperationTable = {
    **authorization.OPERATIONS,
    **repositories.OPERATIONS,
    **policies.OPERATIONS,
    **images.OPERATIONS,
}
