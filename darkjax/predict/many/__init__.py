"""Prediction on very many photographs, on several processes or machines."""
