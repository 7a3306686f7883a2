BEGIN TRANSACTION;
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('bd07f7e963c5');
CREATE TABLE experiment_tags (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  experiment_id INTEGER NOT NULL,
  CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "experiment_tags" VALUES('team','red',1);
INSERT INTO "experiment_tags" VALUES('mlflow.note.content','Größe: ✓',1);
CREATE TABLE experiments (
  experiment_id INTEGER NOT NULL,
  name VARCHAR(256) NOT NULL,
  artifact_location VARCHAR(256),
  lifecycle_stage VARCHAR(32),
  CONSTRAINT experiment_pk PRIMARY KEY (experiment_id),
  CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  UNIQUE (name)
);
INSERT INTO "experiments" VALUES(0,'Default','./mlruns/0','active');
INSERT INTO "experiments" VALUES(1,'wine','./mlruns/1','active');
INSERT INTO "experiments" VALUES(2,'gone','./mlruns/2','deleted');
CREATE TABLE "metrics" (
  "key" VARCHAR(250) NOT NULL,
  value FLOAT NOT NULL,
  timestamp BIGINT NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  step BIGINT DEFAULT '0' NOT NULL,
  is_nan BOOLEAN DEFAULT '0' NOT NULL,
  CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan),
  CHECK (is_nan IN (0, 1)),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "metrics" VALUES('rmse',1.0,1795234636581,'0da9ce3ab0754c26b51f173c9532cb8c',0,0);
INSERT INTO "metrics" VALUES('rmse',0.5,1795234636617,'0da9ce3ab0754c26b51f173c9532cb8c',1,0);
INSERT INTO "metrics" VALUES('rmse',3.33333333333333314829e-01,1795234636643,'0da9ce3ab0754c26b51f173c9532cb8c',2,0);
INSERT INTO "metrics" VALUES('rmse',0.25,1795234636677,'0da9ce3ab0754c26b51f173c9532cb8c',3,0);
INSERT INTO "metrics" VALUES('val/loss',3.5,1795234636693,'0da9ce3ab0754c26b51f173c9532cb8c',-1,0);
INSERT INTO "metrics" VALUES('nan',0.0,1795234636726,'0da9ce3ab0754c26b51f173c9532cb8c',0,1);
INSERT INTO "metrics" VALUES('inf',1.79769313486231562234e+308,1795234636726,'0da9ce3ab0754c26b51f173c9532cb8c',0,0);
INSERT INTO "metrics" VALUES('ninf',-1.79769313486231562234e+308,1795234636726,'0da9ce3ab0754c26b51f173c9532cb8c',0,0);
INSERT INTO "metrics" VALUES('rmse',9.0,5,'0da9ce3ab0754c26b51f173c9532cb8c',2,0);
INSERT INTO "metrics" VALUES('fold',1.0,1795234637193,'1d73ce235d4f403e86a10bd8f3d3bc46',0,0);
INSERT INTO "metrics" VALUES('many',0.0,1000,'1d73ce235d4f403e86a10bd8f3d3bc46',0,0);
INSERT INTO "metrics" VALUES('many',1.42857142857142849212e-01,1001,'1d73ce235d4f403e86a10bd8f3d3bc46',1,0);
INSERT INTO "metrics" VALUES('many',2.85714285714285698425e-01,1002,'1d73ce235d4f403e86a10bd8f3d3bc46',2,0);
INSERT INTO "metrics" VALUES('many',4.28571428571428547638e-01,1003,'1d73ce235d4f403e86a10bd8f3d3bc46',3,0);
INSERT INTO "metrics" VALUES('many',5.7142857142857139685e-01,1004,'1d73ce235d4f403e86a10bd8f3d3bc46',4,0);
INSERT INTO "metrics" VALUES('m',2.0,1795234644165,'19d5953bf8794c409a7b9d89008a05cd',0,0);
CREATE TABLE model_version_tags (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  name VARCHAR(256) NOT NULL,
  version INTEGER NOT NULL,
  CONSTRAINT model_version_tag_pk PRIMARY KEY ("key", name, version),
  FOREIGN KEY(name, version) REFERENCES model_versions (name, version) ON UPDATE cascade
);
INSERT INTO "model_version_tags" VALUES('n','0','grapes',1);
INSERT INTO "model_version_tags" VALUES('n','1','grapes',2);
INSERT INTO "model_version_tags" VALUES('n','2','grapes',3);
INSERT INTO "model_version_tags" VALUES('n','3','grapes',4);
CREATE TABLE "model_versions" (
  name VARCHAR(256) NOT NULL,
  version INTEGER NOT NULL,
  creation_time BIGINT,
  last_updated_time BIGINT,
  description VARCHAR(5000),
  user_id VARCHAR(256),
  current_stage VARCHAR(20),
  source VARCHAR(500),
  run_id VARCHAR(32),
  status VARCHAR(20),
  status_message VARCHAR(500),
  run_link VARCHAR(500),
  CONSTRAINT model_version_pk PRIMARY KEY (name, version),
  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('grapes',1,1795234644274,1795234644367,'v1',NULL,'Production','./mlruns/1/0da9ce3ab0754c26b51f173c9532cb8c/artifacts/out','0da9ce3ab0754c26b51f173c9532cb8c','READY',NULL,NULL);
INSERT INTO "model_versions" VALUES('grapes',2,1795234644291,1795234644349,NULL,NULL,'Deleted_Internal','REDACTED-SOURCE-PATH','REDACTED-RUN-ID','READY',NULL,'REDACTED-RUN-LINK');
INSERT INTO "model_versions" VALUES('grapes',3,1795234644304,1795234644382,'v3',NULL,'Staging','./mlruns/1/0da9ce3ab0754c26b51f173c9532cb8c/artifacts/out','0da9ce3ab0754c26b51f173c9532cb8c','READY',NULL,NULL);
INSERT INTO "model_versions" VALUES('grapes',4,1795234644321,1795234644321,'v4',NULL,'None','./mlruns/1/0da9ce3ab0754c26b51f173c9532cb8c/artifacts/out','0da9ce3ab0754c26b51f173c9532cb8c','READY',NULL,NULL);
INSERT INTO "model_versions" VALUES('grapes',5,1795234644332,1795234644332,NULL,NULL,'None','s3://bucket/elsewhere',NULL,'READY',NULL,NULL);
CREATE TABLE params (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(250) NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('alpha','0.5','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "params" VALUES('multi/part','a b','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "params" VALUES('empty','','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "params" VALUES('text','line 1
line 2','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "params" VALUES('umlaut','Äö','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "params" VALUES('p0','0','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "params" VALUES('p1','1','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "params" VALUES('was','here','5790cc50413845c1ba693fb83b16d3eb');
CREATE TABLE registered_model_tags (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  name VARCHAR(256) NOT NULL,
  CONSTRAINT registered_model_tag_pk PRIMARY KEY ("key", name),
  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE cascade
);
INSERT INTO "registered_model_tags" VALUES('kind','wine','grapes');
CREATE TABLE registered_models (
  name VARCHAR(256) NOT NULL,
  creation_time BIGINT,
  last_updated_time BIGINT,
  description VARCHAR(5000),
  CONSTRAINT registered_model_pk PRIMARY KEY (name),
  UNIQUE (name)
);
INSERT INTO "registered_models" VALUES('grapes',1795234644240,1795234644382,'the model');
INSERT INTO "registered_models" VALUES('empty',1795234644259,1795234644259,NULL);
CREATE TABLE "runs" (
  run_uuid VARCHAR(32) NOT NULL,
  name VARCHAR(250),
  source_type VARCHAR(20),
  source_name VARCHAR(500),
  entry_point_name VARCHAR(50),
  user_id VARCHAR(256),
  status VARCHAR(9),
  start_time BIGINT,
  end_time BIGINT,
  source_version VARCHAR(50),
  lifecycle_stage VARCHAR(20),
  artifact_uri VARCHAR(200),
  experiment_id INTEGER,
  CONSTRAINT run_pk PRIMARY KEY (run_uuid),
  CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),
  CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED')),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "runs" VALUES('0da9ce3ab0754c26b51f173c9532cb8c','','UNKNOWN','','','root','FINISHED',1795234636446,1795234643983,'','active','./mlruns/1/0da9ce3ab0754c26b51f173c9532cb8c/artifacts',1);
INSERT INTO "runs" VALUES('1d73ce235d4f403e86a10bd8f3d3bc46','','UNKNOWN','','','root','FINISHED',1795234636900,1795234643960,'','active','./mlruns/1/1d73ce235d4f403e86a10bd8f3d3bc46/artifacts',1);
INSERT INTO "runs" VALUES('e1524c8469b84768a9ac574a2bee4d5e','','UNKNOWN','','','unknown','FAILED',1234567890123,1234567899999,'','active','./mlruns/1/e1524c8469b84768a9ac574a2bee4d5e/artifacts',1);
INSERT INTO "runs" VALUES('8399feae09d7477dbe3e44f7df9c2d12','','UNKNOWN','','','unknown','RUNNING',1795234644065,NULL,'','active','./mlruns/1/8399feae09d7477dbe3e44f7df9c2d12/artifacts',1);
INSERT INTO "runs" VALUES('5790cc50413845c1ba693fb83b16d3eb','','UNKNOWN','','','unknown','RUNNING',1795234644086,NULL,'','deleted','./mlruns/1/5790cc50413845c1ba693fb83b16d3eb/artifacts',1);
INSERT INTO "runs" VALUES('19d5953bf8794c409a7b9d89008a05cd','','UNKNOWN','','','unknown','RUNNING',1795234644155,NULL,'','active','./mlruns/2/19d5953bf8794c409a7b9d89008a05cd/artifacts',2);
INSERT INTO "runs" VALUES('a79407c054a04a84a83b6aabd136a824','','UNKNOWN','','','unknown','RUNNING',1795234644209,NULL,'','active','./mlruns/0/a79407c054a04a84a83b6aabd136a824/artifacts',0);
CREATE TABLE "tags" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "tags" VALUES('mlflow.runName','parent','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "tags" VALUES('team','blue','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "tags" VALUES('note','two
lines','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "tags" VALUES('multi/tag','x','0da9ce3ab0754c26b51f173c9532cb8c');
INSERT INTO "tags" VALUES('mlflow.user','root','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "tags" VALUES('mlflow.parentRunId','0da9ce3ab0754c26b51f173c9532cb8c','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "tags" VALUES('mlflow.runName','child','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "tags" VALUES('t0','0','1d73ce235d4f403e86a10bd8f3d3bc46');
INSERT INTO "tags" VALUES('t1','1','1d73ce235d4f403e86a10bd8f3d3bc46');
COMMIT;
