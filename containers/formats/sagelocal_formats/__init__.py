"""The wire and artifact formats that SageMaker images exchange, on numpy alone.

    recordio          framing of records in one file or stream
    record_protobuf   rows of numbers as aialgs.data.Record messages, training data and answers
    image_records     MXNet's .rec files of labelled images, with .idx and .lst
    csv_table         tables of numbers without a header
    libsvm            sparse rows as text
    json_lines        values, or records of features, one per line
    parquet           columns of numbers; needs the extra "parquet"
    mxnet_ndarray     .params files: named arrays
    mxnet_symbol      symbol JSON: the graph of a model
    xgboost_binary    XGBoost's models as they were saved before UBJ, read only

Everything here turns bytes into values and back; nothing opens sockets, and no AWS or MXNet
package is needed. Input that does not follow its format raises FormatError.
"""

from sagelocal_formats.errors import FormatError

__all__ = ["FormatError"]
