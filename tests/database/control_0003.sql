-- A database as the version before the final names wrote it: loaded by tests of the upgrade.
BEGIN TRANSACTION;
CREATE TABLE operator_commands (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	action VARCHAR NOT NULL, 
	symbol VARCHAR, 
	position_side VARCHAR, 
	fraction VARCHAR(64) NOT NULL, 
	client_order_id VARCHAR, 
	terms VARCHAR, 
	nonce VARCHAR NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT uq_operator_commands_nonce UNIQUE (nonce)
);
INSERT INTO "operator_commands" VALUES(1750000000000,'close_position','BTCUSDT','LONG','0.5',NULL,NULL,'a name of mine',1750000000000);
INSERT INTO "operator_commands" VALUES(1750000000001,'confirm_live',NULL,NULL,'1',NULL,'0123456789abcdef','another name',1750000000001);
CREATE TABLE settings_history (
	id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	document JSON NOT NULL, 
	message VARCHAR NOT NULL, 
	CONSTRAINT pk_settings_history PRIMARY KEY (id)
);
INSERT INTO "settings_history" VALUES(1,1750000000000,'{"globals": {}}','first');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('operator_commands',1750000000001);
COMMIT;
