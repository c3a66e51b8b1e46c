"""What scripts import of SageMaker's MXNet container.

from sagemaker_mxnet_container.training_utils import save, scheduler_host
"""
