"""The page: Gradio Blocks for its shell, our own elements inside. Only this folder and server/app.py import Gradio."""
