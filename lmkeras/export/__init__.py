"""What a trained model is exported to."""
