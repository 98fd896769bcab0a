"""From Kubernetes documents to the model."""
