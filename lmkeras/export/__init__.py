"""The formats to which a trained model is exported."""
