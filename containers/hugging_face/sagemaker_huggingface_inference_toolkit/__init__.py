"""What scripts import of the original Hugging Face image: `decoder_encoder`, `content_types`."""
