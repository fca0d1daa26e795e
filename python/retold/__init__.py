"""Retold keeps LLM agents inside their context window: the model reads the conversation retold shorter; the log keeps every word."""
