BEGIN TRANSACTION;
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0584bdc529eb');
CREATE TABLE "datasets" (
  dataset_uuid VARCHAR(36) NOT NULL,
  experiment_id INTEGER NOT NULL,
  name VARCHAR(500) NOT NULL,
  digest VARCHAR(36) NOT NULL,
  dataset_source_type VARCHAR(36) NOT NULL,
  dataset_source TEXT NOT NULL,
  dataset_schema TEXT,
  dataset_profile TEXT,
  CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest),
  CONSTRAINT fk_datasets_experiment_id_experiments FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
INSERT INTO "datasets" VALUES('f73dbb9eb37c4fc5a352a3dc453b143f',1,'grapes','448d9ba5','local','{"uri": "data.csv"}','{"mlflow_tensorspec": {"features": "[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float64\", \"shape\": [-1, 2]}}]", "targets": null}}','{"features_shape": [2, 2], "features_size": 4, "features_nbytes": 32}');
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
  lifecycle_stage VARCHAR(32), creation_time BIGINT, last_update_time BIGINT,
  CONSTRAINT experiment_pk PRIMARY KEY (experiment_id),
  CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  UNIQUE (name)
);
INSERT INTO "experiments" VALUES(0,'Default','{root}/mlruns/0','active',1795234668161,1795234668161);
INSERT INTO "experiments" VALUES(1,'wine','{root}/mlruns/1','active',1795234668167,1795234668167);
INSERT INTO "experiments" VALUES(2,'gone','{root}/mlruns/2','deleted',1795234668188,1795234669069);
CREATE TABLE input_tags (
  input_uuid VARCHAR(36) NOT NULL,
  name VARCHAR(255) NOT NULL,
  value VARCHAR(500) NOT NULL,
  CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
INSERT INTO "input_tags" VALUES('0aef9f76e29a452788c8ae77e4e6d08a','mlflow.data.context','training');
CREATE TABLE inputs (
  input_uuid VARCHAR(36) NOT NULL,
  source_type VARCHAR(36) NOT NULL,
  source_id VARCHAR(36) NOT NULL,
  destination_type VARCHAR(36) NOT NULL,
  destination_id VARCHAR(36) NOT NULL,
  CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
INSERT INTO "inputs" VALUES('0aef9f76e29a452788c8ae77e4e6d08a','DATASET','f73dbb9eb37c4fc5a352a3dc453b143f','RUN','8f2f87c498ef4dd9ad2dd6d4bd684379');
CREATE TABLE "metrics" (
  "key" VARCHAR(250) NOT NULL,
  value FLOAT NOT NULL,
  timestamp BIGINT NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  step BIGINT DEFAULT '0' NOT NULL,
  is_nan BOOLEAN DEFAULT '0' NOT NULL,
  CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid),
  CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('rmse',1.0,1795234668378,'8f2f87c498ef4dd9ad2dd6d4bd684379',0,0);
INSERT INTO "metrics" VALUES('rmse',0.5,1795234668397,'8f2f87c498ef4dd9ad2dd6d4bd684379',1,0);
INSERT INTO "metrics" VALUES('rmse',3.33333333333333314829e-01,1795234668421,'8f2f87c498ef4dd9ad2dd6d4bd684379',2,0);
INSERT INTO "metrics" VALUES('rmse',0.25,1795234668439,'8f2f87c498ef4dd9ad2dd6d4bd684379',3,0);
INSERT INTO "metrics" VALUES('val/loss',3.5,1795234668465,'8f2f87c498ef4dd9ad2dd6d4bd684379',-1,0);
INSERT INTO "metrics" VALUES('nan',0.0,1795234668485,'8f2f87c498ef4dd9ad2dd6d4bd684379',0,1);
INSERT INTO "metrics" VALUES('inf',1.79769313486231562234e+308,1795234668485,'8f2f87c498ef4dd9ad2dd6d4bd684379',0,0);
INSERT INTO "metrics" VALUES('ninf',-1.79769313486231562234e+308,1795234668485,'8f2f87c498ef4dd9ad2dd6d4bd684379',0,0);
INSERT INTO "metrics" VALUES('rmse',9.0,5,'8f2f87c498ef4dd9ad2dd6d4bd684379',2,0);
INSERT INTO "metrics" VALUES('fold',1.0,1795234668805,'8e4ff13094ce4bbf926ebe78514d448f',0,0);
INSERT INTO "metrics" VALUES('many',0.0,1000,'8e4ff13094ce4bbf926ebe78514d448f',0,0);
INSERT INTO "metrics" VALUES('many',1.42857142857142849212e-01,1001,'8e4ff13094ce4bbf926ebe78514d448f',1,0);
INSERT INTO "metrics" VALUES('many',2.85714285714285698425e-01,1002,'8e4ff13094ce4bbf926ebe78514d448f',2,0);
INSERT INTO "metrics" VALUES('many',4.28571428571428547638e-01,1003,'8e4ff13094ce4bbf926ebe78514d448f',3,0);
INSERT INTO "metrics" VALUES('many',5.7142857142857139685e-01,1004,'8e4ff13094ce4bbf926ebe78514d448f',4,0);
INSERT INTO "metrics" VALUES('m',2.0,1795234669052,'f4624c8a9be644969fdb4906399aa102',0,0);
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
  run_link VARCHAR(500), storage_location VARCHAR(500),
  CONSTRAINT model_version_pk PRIMARY KEY (name, version),
  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('grapes',1,1795234669165,1795234669292,'v1',NULL,'Production','{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts/out','8f2f87c498ef4dd9ad2dd6d4bd684379','READY',NULL,NULL,'{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',2,1795234669190,1795234669271,NULL,NULL,'Deleted_Internal','REDACTED-SOURCE-PATH','REDACTED-RUN-ID','READY',NULL,'REDACTED-RUN-LINK','{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',3,1795234669203,1795234669318,'v3',NULL,'Staging','{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts/out','8f2f87c498ef4dd9ad2dd6d4bd684379','READY',NULL,NULL,'{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',4,1795234669219,1795234669219,'v4',NULL,'None','{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts/out','8f2f87c498ef4dd9ad2dd6d4bd684379','READY',NULL,NULL,'{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',5,1795234669237,1795234669237,NULL,NULL,'None','s3://bucket/elsewhere',NULL,'READY',NULL,NULL,'s3://bucket/elsewhere');
CREATE TABLE "params" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(8000) NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('alpha','0.5','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "params" VALUES('multi/part','a b','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "params" VALUES('empty','','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "params" VALUES('text','line 1
line 2','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "params" VALUES('umlaut','Äö','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "params" VALUES('p0','0','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "params" VALUES('p1','1','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "params" VALUES('was','here','f71e9a75df0a48f3a77a80e291b389c9');
CREATE TABLE registered_model_aliases (
  alias VARCHAR(256) NOT NULL,
  version INTEGER NOT NULL,
  name VARCHAR(256) NOT NULL,
  CONSTRAINT registered_model_alias_pk PRIMARY KEY (name, alias),
  CONSTRAINT registered_model_alias_name_fkey FOREIGN KEY(name) REFERENCES registered_models (name) ON DELETE cascade ON UPDATE cascade
);
INSERT INTO "registered_model_aliases" VALUES('champion',3,'grapes');
INSERT INTO "registered_model_aliases" VALUES('older',1,'grapes');
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
INSERT INTO "registered_models" VALUES('grapes',1795234669121,1795234669318,'the model');
INSERT INTO "registered_models" VALUES('empty',1795234669147,1795234669147,NULL);
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
  experiment_id INTEGER, deleted_time BIGINT,
  CONSTRAINT run_pk PRIMARY KEY (run_uuid),
  CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),
  CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
  CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('8f2f87c498ef4dd9ad2dd6d4bd684379','parent','UNKNOWN','','','root','FINISHED',1795234668301,1795234668901,'','active','{root}/mlruns/1/8f2f87c498ef4dd9ad2dd6d4bd684379/artifacts',1,NULL);
INSERT INTO "runs" VALUES('8e4ff13094ce4bbf926ebe78514d448f','child','UNKNOWN','','','root','FINISHED',1795234668765,1795234668885,'','active','{root}/mlruns/1/8e4ff13094ce4bbf926ebe78514d448f/artifacts',1,NULL);
INSERT INTO "runs" VALUES('4c787277429f4421b861883e94deb4e2','loud-mink-425','UNKNOWN','','','unknown','FAILED',1234567890123,1234567899999,'','active','{root}/mlruns/1/4c787277429f4421b861883e94deb4e2/artifacts',1,NULL);
INSERT INTO "runs" VALUES('c9a68b8308594191b73830b746b51e94','carefree-donkey-289','UNKNOWN','','','unknown','RUNNING',1795234668949,NULL,'','active','{root}/mlruns/1/c9a68b8308594191b73830b746b51e94/artifacts',1,NULL);
INSERT INTO "runs" VALUES('f71e9a75df0a48f3a77a80e291b389c9','respected-worm-809','UNKNOWN','','','unknown','RUNNING',1795234668975,NULL,'','deleted','{root}/mlruns/1/f71e9a75df0a48f3a77a80e291b389c9/artifacts',1,1795234669014);
INSERT INTO "runs" VALUES('f4624c8a9be644969fdb4906399aa102','secretive-moose-811','UNKNOWN','','','unknown','RUNNING',1795234669029,NULL,'','deleted','{root}/mlruns/2/f4624c8a9be644969fdb4906399aa102/artifacts',2,1795234669072);
INSERT INTO "runs" VALUES('af10bb63824043e98688bc3a06a5d5cd','sassy-zebra-5','UNKNOWN','','','unknown','RUNNING',1795234669082,NULL,'','active','{root}/mlruns/0/af10bb63824043e98688bc3a06a5d5cd/artifacts',0,NULL);
CREATE TABLE "tags" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(8000),
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "tags" VALUES('mlflow.runName','parent','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "tags" VALUES('team','blue','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "tags" VALUES('note','two
lines','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "tags" VALUES('multi/tag','x','8f2f87c498ef4dd9ad2dd6d4bd684379');
INSERT INTO "tags" VALUES('mlflow.user','root','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "tags" VALUES('mlflow.parentRunId','8f2f87c498ef4dd9ad2dd6d4bd684379','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "tags" VALUES('mlflow.runName','child','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "tags" VALUES('t0','0','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "tags" VALUES('t1','1','8e4ff13094ce4bbf926ebe78514d448f');
INSERT INTO "tags" VALUES('mlflow.runName','loud-mink-425','4c787277429f4421b861883e94deb4e2');
INSERT INTO "tags" VALUES('mlflow.runName','carefree-donkey-289','c9a68b8308594191b73830b746b51e94');
INSERT INTO "tags" VALUES('mlflow.runName','respected-worm-809','f71e9a75df0a48f3a77a80e291b389c9');
INSERT INTO "tags" VALUES('mlflow.runName','secretive-moose-811','f4624c8a9be644969fdb4906399aa102');
INSERT INTO "tags" VALUES('mlflow.runName','sassy-zebra-5','af10bb63824043e98688bc3a06a5d5cd');
COMMIT;
