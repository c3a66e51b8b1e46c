"""What scripts import of the original XGBoost image, on this image's own modules.

    from sagemaker_xgboost_container.data_utils import get_dmatrix
    from sagemaker_xgboost_container import distributed, encoder, checkpointing

In published scripts no other module of it was found.
"""
