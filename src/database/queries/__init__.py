"""The read side of the bot's database for API, PnL and backtest: one function, one shape. Money stays Decimal."""
