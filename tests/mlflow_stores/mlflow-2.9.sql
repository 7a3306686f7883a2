BEGIN TRANSACTION;
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('acf3f17fdcc7');
CREATE TABLE datasets (
  dataset_uuid VARCHAR(36) NOT NULL,
  experiment_id INTEGER NOT NULL,
  name VARCHAR(500) NOT NULL,
  digest VARCHAR(36) NOT NULL,
  dataset_source_type VARCHAR(36) NOT NULL,
  dataset_source TEXT NOT NULL,
  dataset_schema TEXT,
  dataset_profile TEXT,
  CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "datasets" VALUES('84ae5caf961340558ad318cd22d810e8',1,'grapes','448d9ba5','local','{"uri": "data.csv"}','{"mlflow_tensorspec": {"features": "[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float64\", \"shape\": [-1, 2]}}]", "targets": null}}','{"features_shape": [2, 2], "features_size": 4, "features_nbytes": 32}');
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
INSERT INTO "experiments" VALUES(0,'Default','{root}/mlruns/0','active',1795234654341,1795234654341);
INSERT INTO "experiments" VALUES(1,'wine','{root}/mlruns/1','active',1795234654353,1795234654353);
INSERT INTO "experiments" VALUES(2,'gone','{root}/mlruns/2','deleted',1795234654368,1795234655242);
CREATE TABLE input_tags (
  input_uuid VARCHAR(36) NOT NULL,
  name VARCHAR(255) NOT NULL,
  value VARCHAR(500) NOT NULL,
  CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
INSERT INTO "input_tags" VALUES('01e7a482d5b34a44a476a4251ea9546a','mlflow.data.context','training');
CREATE TABLE inputs (
  input_uuid VARCHAR(36) NOT NULL,
  source_type VARCHAR(36) NOT NULL,
  source_id VARCHAR(36) NOT NULL,
  destination_type VARCHAR(36) NOT NULL,
  destination_id VARCHAR(36) NOT NULL,
  CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
INSERT INTO "inputs" VALUES('01e7a482d5b34a44a476a4251ea9546a','DATASET','84ae5caf961340558ad318cd22d810e8','RUN','4443fc5334e44822ae58e2ff7bd52a84');
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
INSERT INTO "metrics" VALUES('rmse',1.0,1795234654583,'4443fc5334e44822ae58e2ff7bd52a84',0,0);
INSERT INTO "metrics" VALUES('rmse',0.5,1795234654627,'4443fc5334e44822ae58e2ff7bd52a84',1,0);
INSERT INTO "metrics" VALUES('rmse',3.33333333333333314829e-01,1795234654665,'4443fc5334e44822ae58e2ff7bd52a84',2,0);
INSERT INTO "metrics" VALUES('rmse',0.25,1795234654696,'4443fc5334e44822ae58e2ff7bd52a84',3,0);
INSERT INTO "metrics" VALUES('val/loss',3.5,1795234654717,'4443fc5334e44822ae58e2ff7bd52a84',-1,0);
INSERT INTO "metrics" VALUES('nan',0.0,1795234654732,'4443fc5334e44822ae58e2ff7bd52a84',0,1);
INSERT INTO "metrics" VALUES('inf',1.79769313486231562234e+308,1795234654732,'4443fc5334e44822ae58e2ff7bd52a84',0,0);
INSERT INTO "metrics" VALUES('ninf',-1.79769313486231562234e+308,1795234654732,'4443fc5334e44822ae58e2ff7bd52a84',0,0);
INSERT INTO "metrics" VALUES('rmse',9.0,5,'4443fc5334e44822ae58e2ff7bd52a84',2,0);
INSERT INTO "metrics" VALUES('fold',1.0,1795234654865,'58bc5838dacf46a0888a5cae83d986c2',0,0);
INSERT INTO "metrics" VALUES('many',0.0,1000,'58bc5838dacf46a0888a5cae83d986c2',0,0);
INSERT INTO "metrics" VALUES('many',1.42857142857142849212e-01,1001,'58bc5838dacf46a0888a5cae83d986c2',1,0);
INSERT INTO "metrics" VALUES('many',2.85714285714285698425e-01,1002,'58bc5838dacf46a0888a5cae83d986c2',2,0);
INSERT INTO "metrics" VALUES('many',4.28571428571428547638e-01,1003,'58bc5838dacf46a0888a5cae83d986c2',3,0);
INSERT INTO "metrics" VALUES('many',5.7142857142857139685e-01,1004,'58bc5838dacf46a0888a5cae83d986c2',4,0);
INSERT INTO "metrics" VALUES('m',2.0,1795234655224,'b6bca79813a949529d44d29cd465fcf4',0,0);
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
INSERT INTO "model_versions" VALUES('grapes',1,1795234655348,1795234655532,'v1',NULL,'Production','{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts/out','4443fc5334e44822ae58e2ff7bd52a84','READY',NULL,NULL,'{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',2,1795234655377,1795234655497,NULL,NULL,'Deleted_Internal','REDACTED-SOURCE-PATH','REDACTED-RUN-ID','READY',NULL,'REDACTED-RUN-LINK','{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',3,1795234655397,1795234655557,'v3',NULL,'Staging','{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts/out','4443fc5334e44822ae58e2ff7bd52a84','READY',NULL,NULL,'{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',4,1795234655440,1795234655440,'v4',NULL,'None','{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts/out','4443fc5334e44822ae58e2ff7bd52a84','READY',NULL,NULL,'{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts/out');
INSERT INTO "model_versions" VALUES('grapes',5,1795234655481,1795234655481,NULL,NULL,'None','s3://bucket/elsewhere',NULL,'READY',NULL,NULL,'s3://bucket/elsewhere');
CREATE TABLE "params" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(8000) NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('alpha','0.5','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "params" VALUES('multi/part','a b','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "params" VALUES('empty','','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "params" VALUES('text','line 1
line 2','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "params" VALUES('umlaut','Äö','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "params" VALUES('p0','0','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "params" VALUES('p1','1','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "params" VALUES('was','here','852add0e3a9247668b04f0e8679ea2f0');
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
INSERT INTO "registered_models" VALUES('grapes',1795234655315,1795234655557,'the model');
INSERT INTO "registered_models" VALUES('empty',1795234655336,1795234655336,NULL);
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
INSERT INTO "runs" VALUES('4443fc5334e44822ae58e2ff7bd52a84','parent','UNKNOWN','','','root','FINISHED',1795234654486,1795234655021,'','active','{root}/mlruns/1/4443fc5334e44822ae58e2ff7bd52a84/artifacts',1,NULL);
INSERT INTO "runs" VALUES('58bc5838dacf46a0888a5cae83d986c2','child','UNKNOWN','','','root','FINISHED',1795234654841,1795234655001,'','active','{root}/mlruns/1/58bc5838dacf46a0888a5cae83d986c2/artifacts',1,NULL);
INSERT INTO "runs" VALUES('e27eb0710048489e8151688a2df8c889','calm-cub-850','UNKNOWN','','','unknown','FAILED',1234567890123,1234567899999,'','active','{root}/mlruns/1/e27eb0710048489e8151688a2df8c889/artifacts',1,NULL);
INSERT INTO "runs" VALUES('cf93f53453224e118776957832f73c4b','redolent-gnu-468','UNKNOWN','','','unknown','RUNNING',1795234655089,NULL,'','active','{root}/mlruns/1/cf93f53453224e118776957832f73c4b/artifacts',1,NULL);
INSERT INTO "runs" VALUES('852add0e3a9247668b04f0e8679ea2f0','unique-sow-918','UNKNOWN','','','unknown','RUNNING',1795234655105,NULL,'','deleted','{root}/mlruns/1/852add0e3a9247668b04f0e8679ea2f0/artifacts',1,1795234655155);
INSERT INTO "runs" VALUES('b6bca79813a949529d44d29cd465fcf4','smiling-bug-822','UNKNOWN','','','unknown','RUNNING',1795234655181,NULL,'','deleted','{root}/mlruns/2/b6bca79813a949529d44d29cd465fcf4/artifacts',2,1795234655248);
INSERT INTO "runs" VALUES('3cd720e5a20c49d0b1aff69276fc8e2c','caring-sheep-858','UNKNOWN','','','unknown','RUNNING',1795234655267,NULL,'','active','{root}/mlruns/0/3cd720e5a20c49d0b1aff69276fc8e2c/artifacts',0,NULL);
CREATE TABLE "tags" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "tags" VALUES('mlflow.runName','parent','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "tags" VALUES('team','blue','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "tags" VALUES('note','two
lines','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "tags" VALUES('multi/tag','x','4443fc5334e44822ae58e2ff7bd52a84');
INSERT INTO "tags" VALUES('mlflow.user','root','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "tags" VALUES('mlflow.parentRunId','4443fc5334e44822ae58e2ff7bd52a84','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "tags" VALUES('mlflow.runName','child','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "tags" VALUES('t0','0','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "tags" VALUES('t1','1','58bc5838dacf46a0888a5cae83d986c2');
INSERT INTO "tags" VALUES('mlflow.runName','calm-cub-850','e27eb0710048489e8151688a2df8c889');
INSERT INTO "tags" VALUES('mlflow.runName','redolent-gnu-468','cf93f53453224e118776957832f73c4b');
INSERT INTO "tags" VALUES('mlflow.runName','unique-sow-918','852add0e3a9247668b04f0e8679ea2f0');
INSERT INTO "tags" VALUES('mlflow.runName','smiling-bug-822','b6bca79813a949529d44d29cd465fcf4');
INSERT INTO "tags" VALUES('mlflow.runName','caring-sheep-858','3cd720e5a20c49d0b1aff69276fc8e2c');
COMMIT;
