"""What the TensorFlow image adds to the toolkits: TensorFlow Serving's API over SavedModels."""
