"""Queries on the bot's database for the API, the command line and the doctor. Money stays Decimal."""
