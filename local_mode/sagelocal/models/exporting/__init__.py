"""A model in another library's format.

    targets              which family has which target, and why not: the table; `export`
    formulas             the small families as numbers with names: what three of the targets write
    to_xgboost           XGBoost's JSON or UBJ, from whatever a booster was saved as
    to_onnx              ONNX, of
      onnx_formulas        the small families
      onnx_trees           boosters
      onnx_networks        MXNet's networks, by
      onnx_operators       one function for each kind of operator
      onnx_graph           what all of them build with
    to_sklearn           a fitted estimator of scikit-learn
    to_savedmodel        TensorFlow's SavedModel, by savedmodel_program in the image's environment
    written              what all of them leave

Libraries that only one target needs are extras of this package, and are imported with the target's
module. Answers have the names of the algorithms' own: score, predicted_label, projection.
"""
