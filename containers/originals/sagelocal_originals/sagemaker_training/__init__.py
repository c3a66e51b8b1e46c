"""What scripts import of the SageMaker Training Toolkit: `environment`, `logging_config`."""
