"""The small model that ships with Batchat: its corpus, its training and its evaluation.

Nothing here is needed to serve a model; the app only reads the folder that training wrote.
"""
