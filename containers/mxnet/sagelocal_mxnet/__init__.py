"""What the MXNet image adds to the toolkits: threads, parameter servers, default models."""
