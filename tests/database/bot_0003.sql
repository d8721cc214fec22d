-- A database as the version before the final names wrote it: loaded by tests of the upgrade.
BEGIN TRANSACTION;
CREATE TABLE "account_history" (
	at INTEGER NOT NULL, 
	wallet_balance VARCHAR(64) NOT NULL, 
	unrealized_pnl VARCHAR(64) NOT NULL, 
	margin_balance VARCHAR(64) NOT NULL, 
	available_balance VARCHAR(64) NOT NULL, 
	initial_margin VARCHAR(64) NOT NULL, 
	maintenance_margin VARCHAR(64) NOT NULL, 
	is_simulated BOOLEAN NOT NULL, 
	CONSTRAINT pk_account_history PRIMARY KEY (at, is_simulated)
);
INSERT INTO "account_history" VALUES(1750000000000,'1000','0','1000','950','50','5',0);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE corrections (
	id VARCHAR NOT NULL, 
	symbol VARCHAR NOT NULL, 
	position_side VARCHAR NOT NULL, 
	believed VARCHAR(64) NOT NULL, 
	reported VARCHAR(64) NOT NULL, 
	entry_price VARCHAR(64) NOT NULL, 
	last_trade_id INTEGER NOT NULL, 
	is_explained BOOLEAN NOT NULL, 
	at INTEGER NOT NULL, 
	is_simulated BOOLEAN NOT NULL, 
	CONSTRAINT pk_corrections PRIMARY KEY (id, is_simulated)
);
INSERT INTO "corrections" VALUES('ETHUSDT LONG 0.5 3','ETHUSDT','LONG','0','0.5','2500',3,0,1750000000000,0);
CREATE TABLE decisions (
	liquidation_id INTEGER NOT NULL, 
	symbol VARCHAR NOT NULL, 
	liquidation_side VARCHAR NOT NULL, 
	at INTEGER NOT NULL, 
	gate VARCHAR, 
	reason VARCHAR NOT NULL, 
	numbers JSON NOT NULL, 
	window_volume VARCHAR(64) NOT NULL, 
	threshold VARCHAR(64) NOT NULL, 
	client_order_id VARCHAR, 
	CONSTRAINT pk_decisions PRIMARY KEY (liquidation_id), 
	CONSTRAINT fk_decisions_liquidation_id FOREIGN KEY(liquidation_id) REFERENCES liquidations (id) ON DELETE CASCADE
);
INSERT INTO "decisions" VALUES(1,'BTCUSDT','SELL',1750000000000,NULL,'entry','{}','60000','50000','lh-mbv0x1k2abcde-e');
CREATE TABLE "fills" (
	id INTEGER NOT NULL, 
	symbol VARCHAR NOT NULL, 
	trade_id INTEGER NOT NULL, 
	order_id VARCHAR NOT NULL, 
	client_order_id VARCHAR NOT NULL, 
	side VARCHAR NOT NULL, 
	position_side VARCHAR NOT NULL, 
	quantity VARCHAR(64) NOT NULL, 
	price VARCHAR(64) NOT NULL, 
	realized_pnl VARCHAR(64) NOT NULL, 
	commission VARCHAR(64) NOT NULL, 
	commission_asset VARCHAR NOT NULL, 
	is_maker BOOLEAN NOT NULL, 
	traded_at INTEGER NOT NULL, 
	is_simulated BOOLEAN NOT NULL, 
	CONSTRAINT pk_fills PRIMARY KEY (id), 
	CONSTRAINT uq_fills_symbol_trade_id_is_simulated UNIQUE (symbol, trade_id, is_simulated)
);
INSERT INTO "fills" VALUES(1,'BTCUSDT',1,'1001','lh-mbv0x1k2abcde-e','BUY','LONG','0.01','50000','0','0.1','USDT',1,1750000000000,0);
CREATE TABLE "funding" (
	transaction_id INTEGER NOT NULL, 
	symbol VARCHAR NOT NULL, 
	asset VARCHAR NOT NULL, 
	amount VARCHAR(64) NOT NULL, 
	at INTEGER NOT NULL, 
	is_simulated BOOLEAN NOT NULL, 
	CONSTRAINT pk_funding PRIMARY KEY (transaction_id, is_simulated)
);
INSERT INTO "funding" VALUES(7,'BTCUSDT','USDT','-0.25',1750000000000,0);
CREATE TABLE instruments (
	symbol VARCHAR NOT NULL, 
	base_asset VARCHAR NOT NULL, 
	quote_asset VARCHAR NOT NULL, 
	price_precision INTEGER NOT NULL, 
	quantity_precision INTEGER NOT NULL, 
	tick VARCHAR(64) NOT NULL, 
	step VARCHAR(64) NOT NULL, 
	min_quantity VARCHAR(64) NOT NULL, 
	min_notional VARCHAR(64) NOT NULL, 
	status VARCHAR NOT NULL, 
	CONSTRAINT pk_instruments PRIMARY KEY (symbol)
);
INSERT INTO "instruments" VALUES('BTCUSDT','BTC','USDT',1,3,'0.1','0.001','0.001','5','TRADING');
CREATE TABLE journal (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	symbol VARCHAR, 
	payload JSON NOT NULL
);
INSERT INTO "journal" VALUES(1,1750000000000,'alert','BTCUSDT','{"level": "info", "message": "a line of the journal"}');
CREATE TABLE liquidations (
	id INTEGER NOT NULL, 
	symbol VARCHAR NOT NULL, 
	side VARCHAR NOT NULL, 
	quantity VARCHAR(64) NOT NULL, 
	price VARCHAR(64) NOT NULL, 
	average_price VARCHAR(64) NOT NULL, 
	filled_quantity VARCHAR(64) NOT NULL, 
	usdt_value VARCHAR(64) NOT NULL, 
	order_type VARCHAR NOT NULL, 
	time_in_force VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	traded_at INTEGER NOT NULL, 
	event_at INTEGER NOT NULL, 
	received_at INTEGER NOT NULL, 
	CONSTRAINT pk_liquidations PRIMARY KEY (id), 
	CONSTRAINT ck_liquidations_side CHECK (side IN ('BUY', 'SELL'))
);
INSERT INTO "liquidations" VALUES(1,'BTCUSDT','SELL','1.2','49500.00','50000','1.2','60000.0','LIMIT','IOC','FILLED',1750000000000,1750000000000,1750000000000);
CREATE TABLE order_relationships (
	related_order_id VARCHAR(36) NOT NULL, 
	main_order_id VARCHAR(36) NOT NULL, 
	symbol VARCHAR NOT NULL, 
	position_side VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT pk_order_relationships PRIMARY KEY (related_order_id)
);
INSERT INTO "order_relationships" VALUES('lh-mbv0x1k2abcde-s1','lh-mbv0x1k2abcde-e','BTCUSDT','LONG','STOP_LOSS',1750000000000);
CREATE TABLE order_status (
	id INTEGER NOT NULL, 
	client_order_id VARCHAR(36) NOT NULL, 
	symbol VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	filled_quantity VARCHAR(64) NOT NULL, 
	at INTEGER NOT NULL, 
	source VARCHAR NOT NULL, 
	reason VARCHAR, 
	CONSTRAINT pk_order_status PRIMARY KEY (id), 
	CONSTRAINT ck_order_status_status CHECK (status IN ('PENDING_NEW', 'NEW', 'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED'))
);
INSERT INTO "order_status" VALUES(1,'lh-mbv0x1k2abcde-e','BTCUSDT','FILLED','0.01',1750000000000,'intent',NULL);
INSERT INTO "order_status" VALUES(2,'lh-mbv0x1k2abcde-s1','BTCUSDT','NEW','0',1750000000000,'emergency',NULL);
CREATE TABLE "positions" (
	symbol VARCHAR NOT NULL, 
	position_side VARCHAR NOT NULL, 
	quantity VARCHAR(64) NOT NULL, 
	entry_price VARCHAR(64) NOT NULL, 
	mark_price VARCHAR(64), 
	leverage INTEGER NOT NULL, 
	margin_type VARCHAR NOT NULL, 
	liquidation_price VARCHAR(64), 
	take_profit_price VARCHAR(64), 
	stop_loss_price VARCHAR(64), 
	protection VARCHAR NOT NULL, 
	opened_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	entry_client_order_id VARCHAR, 
	is_simulated BOOLEAN NOT NULL, 
	CONSTRAINT pk_positions PRIMARY KEY (symbol, position_side, is_simulated)
);
INSERT INTO "positions" VALUES('BTCUSDT','LONG','0.01','50000','50000',10,'ISOLATED','45500','50500','49000','ok',1750000000000,1750000000000,'lh-mbv0x1k2abcde-e',0);
INSERT INTO "positions" VALUES('BTCUSDT','SHORT','-2','50000','50000',10,'ISOLATED','45500','50500','49000','foreign',1750000000000,1750000000000,NULL,0);
INSERT INTO "positions" VALUES('BTCUSDT','LONG','0.02','50000','50000',10,'ISOLATED','45500','50500','49000','ok',1750000000000,1750000000000,NULL,1);
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	version VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	started_at INTEGER NOT NULL, 
	ended_at INTEGER, 
	CONSTRAINT pk_runs PRIMARY KEY (id)
);
INSERT INTO "runs" VALUES(1,'0.9',4242,1750000000000,NULL);
CREATE TABLE state (
	"key" VARCHAR NOT NULL, 
	value JSON NOT NULL, 
	updated_at INTEGER NOT NULL, 
	CONSTRAINT pk_state PRIMARY KEY ("key")
);
INSERT INTO "state" VALUES('bot','{"version": "0.9", "pid": 4242, "started_at": 1750000000000, "network": "testnet", "is_simulated": false, "heartbeat_at": 1750000000000}',1750000000000);
INSERT INTO "state" VALUES('trading','{"state": "REDUCE_ONLY", "reason": "paused", "awaits_resume": true}',1750000000000);
INSERT INTO "state" VALUES('limits','{"weight_used": 1, "weight_limit": 2400, "orders_used": 0, "blocked_until": 0, "is_banned": false, "clock_offset_ms": 10, "clock_strayed_ms": 3}',1750000000000);
INSERT INTO "state" VALUES('inbox','{"waiting": 0, "dropped": 0, "lag_ms": 1}',1750000000000);
INSERT INTO "state" VALUES('closing','{"BTCUSDT LONG": "the operator closes it"}',1750000000000);
INSERT INTO "state" VALUES('unsettled','{"ETHUSDT LONG": 1750000000000}',1750000000000);
INSERT INTO "state" VALUES('lock','{"lock": {"kind": "max_consecutive_stops", "reason": "3 exits in a row lost", "until_ms": 1750003600000}, "peak": "1000", "exits_after": 1, "forgiven_day": 1749945600000, "forgiven_net": "-1.5"}',1750000000000);
INSERT INTO "state" VALUES('instance','{"mark": "abcd", "born_at": 1749999999999, "names": ["lh-mbv0x1k2zzzzz-e"], "reason": null}',1750000000000);
INSERT INTO "state" VALUES('live_agreed','{"terms": {"network": "testnet", "account": "0x63DD", "max_total_exposure_usdt": "500", "hedge_mode": true, "multi_assets_mode": false, "adopt_foreign_positions": false, "limits": {"max_daily_loss_usdt": null, "max_consecutive_stops": "3", "max_drawdown_pct": null, "max_entries_per_minute": null}, "symbols": {"BTCUSDT": {"trade_value_usdt": "50", "leverage": 10, "max_position_usdt": "200", "margin_type": "ISOLATED", "trade_side": "OPPOSITE", "stop_loss_pct": "2", "notional": "500"}}}, "at": 1750000000000}',1750000000000);
INSERT INTO "state" VALUES('live_pending','{"terms": {"network": "testnet", "account": "0x63DD", "max_total_exposure_usdt": "500", "hedge_mode": true, "multi_assets_mode": false, "adopt_foreign_positions": false, "limits": {"max_daily_loss_usdt": null, "max_consecutive_stops": "3", "max_drawdown_pct": null, "max_entries_per_minute": null}, "symbols": {"BTCUSDT": {"trade_value_usdt": "50", "leverage": 10, "max_position_usdt": "200", "margin_type": "ISOLATED", "trade_side": "OPPOSITE", "stop_loss_pct": "2", "notional": "500"}}}, "fingerprint": "37d6963af3a04a44", "rising": ["BTCUSDT: leverage from 2 to 9"]}',1750000000000);
INSERT INTO "state" VALUES('operator','{"last_id": 1750000000000, "paused": true, "halted": false, "requests": ["flatten-1"]}',1750000000000);
INSERT INTO "state" VALUES('symbol_locks','{"locked": {"ETHUSDT": "it was not as expected"}, "causes": ["a"], "all": null}',1750000000000);
INSERT INTO "state" VALUES('foreign_orders','{"items": [{"order_id": 9, "client_order_id": "web_1", "symbol": "ETHUSDT", "fault": "type BOX is not known"}]}',1750000000000);
INSERT INTO "state" VALUES('network','{"name": "testnet"}',1750000000000);
INSERT INTO "state" VALUES('closing_paper','{"BTCUSDT LONG": "test"}',1750000000000);
INSERT INTO "state" VALUES('unsettled_paper','{}',1750000000000);
INSERT INTO "state" VALUES('lock_paper','{"lock": null, "peak": null, "exits_after": 0, "forgiven_day": 0, "forgiven_net": "0"}',1750000000000);
INSERT INTO "state" VALUES('symbol_locks_paper','{"locked": {}, "causes": [], "all": "the books were wrong"}',1750000000000);
INSERT INTO "state" VALUES('paper_account','{"hedge_mode": true, "multi_assets_mode": false, "wallets": {"USDT": "9900"}, "terms": {"BTCUSDT": {"leverage": 10, "margin_type": "ISOLATED"}}, "holdings": [{"position": {"symbol": "BTCUSDT", "position_side": "LONG", "quantity": "0.02", "entry_price": "50000"}, "asset": "USDT", "isolated_margin": "100", "updated_at": 1750000000000}], "orders": [{"order_id": 5, "request": {"client_order_id": "lh-mbv0x1k2abcde-e", "symbol": "BTCUSDT", "side": "BUY", "position_side": "LONG", "type": "LIMIT", "quantity": "0.01", "price": "50000", "stop_price": null, "time_in_force": "GTC", "reduce_only": false, "close_position": false, "working_type": null, "price_protect": false}, "type": "LIMIT", "quantity": "0.01", "created_at": 1750000000000, "event_at": 1750000000000, "status": "NEW", "filled_quantity": "0", "cost": "0", "ahead": "0"}], "marks": [{"symbol": "BTCUSDT", "price": "50000", "index_price": "50000", "funding_rate": "0.0001", "next_funding_at": 1750003600000, "at": 1750000000000, "received_at": 1750000000000}], "last_order_id": 5, "last_trade_id": 4, "last_income_id": 3}',1750000000000);
CREATE TABLE trades (
	id INTEGER NOT NULL, 
	client_order_id VARCHAR(36) NOT NULL, 
	order_id VARCHAR, 
	symbol VARCHAR NOT NULL, 
	side VARCHAR NOT NULL, 
	position_side VARCHAR NOT NULL, 
	order_type VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	parent_order_id VARCHAR, 
	quantity VARCHAR(64), 
	price VARCHAR(64), 
	stop_price VARCHAR(64), 
	time_in_force VARCHAR, 
	reduce_only BOOLEAN NOT NULL, 
	close_position BOOLEAN NOT NULL, 
	working_type VARCHAR, 
	price_protect BOOLEAN NOT NULL, 
	status VARCHAR NOT NULL, 
	order_status VARCHAR NOT NULL, 
	filled_quantity VARCHAR(64) NOT NULL, 
	average_price VARCHAR(64) NOT NULL, 
	realized_pnl VARCHAR(64) NOT NULL, 
	commission VARCHAR(64) NOT NULL, 
	commission_asset VARCHAR, 
	reason VARCHAR, 
	created_at INTEGER NOT NULL, 
	sent_at INTEGER, 
	event_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	unresolved_since INTEGER, 
	CONSTRAINT pk_trades PRIMARY KEY (id), 
	CONSTRAINT ck_trades_order_status CHECK (order_status IN ('PENDING_NEW', 'NEW', 'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED')), 
	CONSTRAINT ck_trades_status CHECK (status IN ('PENDING_NEW', 'NEW', 'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'SIMULATED')), 
	CONSTRAINT uq_trades_client_order_id UNIQUE (client_order_id)
);
INSERT INTO "trades" VALUES(1,'lh-mbv0x1k2abcde-e','1001','BTCUSDT','BUY','LONG','LIMIT','ENTRY',NULL,'0.01','50000',NULL,'GTC',0,0,NULL,0,'FILLED','FILLED','0.01','50000','0','0.1','USDT',NULL,1750000000000,1750000000000,0,1750000000000,NULL);
INSERT INTO "trades" VALUES(2,'lh-mbv0x1k2abcde-s1','1002','BTCUSDT','SELL','LONG','STOP_MARKET','STOP_LOSS','lh-mbv0x1k2abcde-e',NULL,NULL,'49000',NULL,0,1,'CONTRACT_PRICE',0,'NEW','NEW','0','0','0','0',NULL,NULL,1750000000000,1750000000000,0,1750000000000,NULL);
CREATE INDEX ix_journal_at ON journal (at);
CREATE INDEX ix_journal_kind_id ON journal (kind, id);
CREATE INDEX ix_liquidations_symbol_traded_at ON liquidations (symbol, traded_at);
CREATE INDEX ix_liquidations_traded_at ON liquidations (traded_at);
CREATE INDEX ix_order_relationships_main_order_id ON order_relationships (main_order_id);
CREATE INDEX ix_order_relationships_symbol ON order_relationships (symbol);
CREATE INDEX ix_order_status_client_order_id_id ON order_status (client_order_id, id);
CREATE INDEX ix_trades_created_at ON trades (created_at);
CREATE INDEX ix_trades_order_id ON trades (order_id);
CREATE INDEX ix_trades_order_status ON trades (order_status);
CREATE INDEX ix_trades_parent_order_id ON trades (parent_order_id);
CREATE INDEX ix_trades_symbol_created_at ON trades (symbol, created_at);
CREATE INDEX ix_decisions_client_order_id ON decisions (client_order_id);
CREATE INDEX ix_decisions_symbol_at ON decisions (symbol, at);
CREATE INDEX ix_fills_traded_at ON fills (traded_at);
CREATE INDEX ix_fills_client_order_id ON fills (client_order_id);
CREATE INDEX ix_positions_updated_at ON positions (updated_at);
CREATE INDEX ix_funding_symbol_at ON funding (symbol, at);
CREATE INDEX ix_funding_at ON funding (at);
CREATE INDEX ix_corrections_at ON corrections (at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('journal',1);
COMMIT;
