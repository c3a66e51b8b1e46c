"""What scripts import of the SageMaker Inference Toolkit: codecs, errors, paths.

`content_types`, `decoder`, `encoder`, `errors`, `default_inference_handler`, `environment`,
`logging` and `utils`. Its model server and handler services are those of `sagelocal_serve`.
"""
