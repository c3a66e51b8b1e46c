"""The media types that `decoder_encoder` knows by name."""

JSON = "application/json"
CSV = "text/csv"
ANY = "*/*"
NPY = "application/x-npy"
OCTET_STREAM = "application/octet-stream"
UTF8_TYPES = [JSON, CSV]
JPEG, PNG, TIFF = "image/jpeg", "image/png", "image/tiff"
BMP, GIF, WEBP, X_IMAGE = "image/bmp", "image/gif", "image/webp", "image/x-image"
FLAC, MP3, WAV = "audio/x-flac", "audio/mpeg", "audio/wave"
OGG, X_AUDIO = "audio/ogg", "audio/x-audio"
