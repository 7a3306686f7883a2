BEGIN TRANSACTION;
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('dc11669786a5');
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
INSERT INTO "datasets" VALUES('60af7248179940fca01ae58825b37625',1,'grapes','448d9ba5','local','{"uri": "data.csv"}','{"mlflow_tensorspec": {"features": "[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float64\", \"shape\": [-1, 2]}}]", "targets": null}}','{"features_shape": [2, 2], "features_size": 4, "features_nbytes": 32}');
CREATE TABLE "experiment_tags" (
  "key" VARCHAR(250) NOT NULL,
  value TEXT,
  experiment_id INTEGER NOT NULL,
  CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "experiment_tags" VALUES('team','red',1);
INSERT INTO "experiment_tags" VALUES('mlflow.note.content','Größe: ✓',1);
CREATE TABLE "experiments" (
  experiment_id INTEGER NOT NULL,
  name VARCHAR(256) NOT NULL,
  artifact_location VARCHAR(256),
  lifecycle_stage VARCHAR(32),
  creation_time BIGINT,
  last_update_time BIGINT,
  workspace VARCHAR(63) DEFAULT 'default' NOT NULL,
  CONSTRAINT experiment_pk PRIMARY KEY (experiment_id),
  CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)
);
INSERT INTO "experiments" VALUES(0,'Default','{root}/mlruns/0','active',1795234681555,1795234681555,'default');
INSERT INTO "experiments" VALUES(1,'wine','{root}/mlruns/1','active',1795234681561,1795234681561,'default');
INSERT INTO "experiments" VALUES(2,'gone','{root}/mlruns/2','deleted',1795234681582,1795234681945,'default');
CREATE TABLE input_tags (
  input_uuid VARCHAR(36) NOT NULL,
  name VARCHAR(255) NOT NULL,
  value VARCHAR(500) NOT NULL,
  CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
INSERT INTO "input_tags" VALUES('0afce532c6a645df9c148a93a4e6de82','mlflow.data.context','training');
CREATE TABLE inputs (
  input_uuid VARCHAR(36) NOT NULL,
  source_type VARCHAR(36) NOT NULL,
  source_id VARCHAR(36) NOT NULL,
  destination_type VARCHAR(36) NOT NULL,
  destination_id VARCHAR(36) NOT NULL, step BIGINT DEFAULT '0' NOT NULL,
  CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
INSERT INTO "inputs" VALUES('0afce532c6a645df9c148a93a4e6de82','DATASET','60af7248179940fca01ae58825b37625','RUN','501a01edd6994019a0fd2554e08db130',0);
INSERT INTO "inputs" VALUES('35e0042dbe0941498706d9bdb1fdb2b4','RUN_OUTPUT','501a01edd6994019a0fd2554e08db130','MODEL_OUTPUT','m-869b3ba6aaea49d7b49e3591c28eff39',3);
INSERT INTO "inputs" VALUES('21508893ff7a44e891497d6a55d2ac60','RUN_INPUT','b644b3df72324a5c8b2ad66e34e29558','MODEL_INPUT','m-869b3ba6aaea49d7b49e3591c28eff39',0);
CREATE TABLE logged_model_metrics (
  model_id VARCHAR(36) NOT NULL,
  metric_name VARCHAR(500) NOT NULL,
  metric_timestamp_ms BIGINT NOT NULL,
  metric_step BIGINT NOT NULL,
  metric_value FLOAT,
  experiment_id INTEGER NOT NULL,
  run_id VARCHAR(32) NOT NULL,
  dataset_uuid VARCHAR(36),
  dataset_name VARCHAR(500),
  dataset_digest VARCHAR(36),
  CONSTRAINT logged_model_metrics_pk PRIMARY KEY (model_id, metric_name, metric_timestamp_ms, metric_step, run_id),
  CONSTRAINT fk_logged_model_metrics_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
  CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE,
  CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_uuid) ON DELETE CASCADE
);
INSERT INTO "logged_model_metrics" VALUES('m-869b3ba6aaea49d7b49e3591c28eff39','acc',1795234682133,1,0.75,1,'501a01edd6994019a0fd2554e08db130',NULL,'grapes','abc');
CREATE TABLE logged_model_params (
  model_id VARCHAR(36) NOT NULL,
  experiment_id INTEGER NOT NULL,
  param_key VARCHAR(255) NOT NULL,
  param_value TEXT NOT NULL,
  CONSTRAINT logged_model_params_pk PRIMARY KEY (model_id, param_key),
  CONSTRAINT fk_logged_model_params_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
  CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
INSERT INTO "logged_model_params" VALUES('m-869b3ba6aaea49d7b49e3591c28eff39',1,'depth','3');
CREATE TABLE logged_model_tags (
  model_id VARCHAR(36) NOT NULL,
  experiment_id INTEGER NOT NULL,
  tag_key VARCHAR(255) NOT NULL,
  tag_value TEXT NOT NULL,
  CONSTRAINT logged_model_tags_pk PRIMARY KEY (model_id, tag_key),
  CONSTRAINT fk_logged_model_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
  CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
INSERT INTO "logged_model_tags" VALUES('m-869b3ba6aaea49d7b49e3591c28eff39',1,'a','b');
CREATE TABLE logged_models (
  model_id VARCHAR(36) NOT NULL,
  experiment_id INTEGER NOT NULL,
  name VARCHAR(500) NOT NULL,
  artifact_location VARCHAR(1000) NOT NULL,
  creation_timestamp_ms BIGINT NOT NULL,
  last_updated_timestamp_ms BIGINT NOT NULL,
  status INTEGER NOT NULL,
  lifecycle_stage VARCHAR(32),
  model_type VARCHAR(500),
  source_run_id VARCHAR(32),
  status_message VARCHAR(1000),
  CONSTRAINT logged_models_pk PRIMARY KEY (model_id),
  CONSTRAINT logged_models_lifecycle_stage_check CHECK (lifecycle_stage IN ('active', 'deleted')),
  CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
INSERT INTO "logged_models" VALUES('m-869b3ba6aaea49d7b49e3591c28eff39',1,'net','{root}/mlruns/1/models/m-869b3ba6aaea49d7b49e3591c28eff39/artifacts',1795234682096,1795234682120,2,'active','Agent','501a01edd6994019a0fd2554e08db130',NULL);
INSERT INTO "logged_models" VALUES('m-e9f2188dc64e4503a50c74dfdc817cae',1,'dropped','{root}/mlruns/1/models/m-e9f2188dc64e4503a50c74dfdc817cae/artifacts',1795234682162,1795234682165,1,'deleted',NULL,NULL,NULL);
INSERT INTO "logged_models" VALUES('m-2789c072d22d4239a88746a9cba3f2e7',1,'traveling-stork-366','{root}/mlruns/1/models/m-2789c072d22d4239a88746a9cba3f2e7/artifacts',1795234682179,1795234682179,1,'active',NULL,NULL,NULL);
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
INSERT INTO "metrics" VALUES('rmse',1.0,1795234681643,'501a01edd6994019a0fd2554e08db130',0,0);
INSERT INTO "metrics" VALUES('rmse',0.5,1795234681648,'501a01edd6994019a0fd2554e08db130',1,0);
INSERT INTO "metrics" VALUES('rmse',3.33333333333333314829e-01,1795234681660,'501a01edd6994019a0fd2554e08db130',2,0);
INSERT INTO "metrics" VALUES('rmse',0.25,1795234681664,'501a01edd6994019a0fd2554e08db130',3,0);
INSERT INTO "metrics" VALUES('val/loss',3.5,1795234681684,'501a01edd6994019a0fd2554e08db130',-1,0);
INSERT INTO "metrics" VALUES('nan',0.0,1795234681694,'501a01edd6994019a0fd2554e08db130',0,1);
INSERT INTO "metrics" VALUES('inf',1.79769313486231562234e+308,1795234681694,'501a01edd6994019a0fd2554e08db130',0,0);
INSERT INTO "metrics" VALUES('ninf',-1.79769313486231562234e+308,1795234681694,'501a01edd6994019a0fd2554e08db130',0,0);
INSERT INTO "metrics" VALUES('rmse',9.0,5,'501a01edd6994019a0fd2554e08db130',2,0);
INSERT INTO "metrics" VALUES('fold',1.0,1795234681800,'b644b3df72324a5c8b2ad66e34e29558',0,0);
INSERT INTO "metrics" VALUES('many',0.0,1000,'b644b3df72324a5c8b2ad66e34e29558',0,0);
INSERT INTO "metrics" VALUES('many',1.42857142857142849212e-01,1001,'b644b3df72324a5c8b2ad66e34e29558',1,0);
INSERT INTO "metrics" VALUES('many',2.85714285714285698425e-01,1002,'b644b3df72324a5c8b2ad66e34e29558',2,0);
INSERT INTO "metrics" VALUES('many',4.28571428571428547638e-01,1003,'b644b3df72324a5c8b2ad66e34e29558',3,0);
INSERT INTO "metrics" VALUES('many',5.7142857142857139685e-01,1004,'b644b3df72324a5c8b2ad66e34e29558',4,0);
INSERT INTO "metrics" VALUES('m',2.0,1795234681931,'0797d7d8b4c1420fbe1f207aa577dcd9',0,0);
INSERT INTO "metrics" VALUES('acc',0.75,1795234682133,'501a01edd6994019a0fd2554e08db130',1,0);
CREATE TABLE "model_version_tags" (
  "key" VARCHAR(250) NOT NULL,
  value TEXT,
  name VARCHAR(256) NOT NULL,
  version INTEGER NOT NULL,
  workspace VARCHAR(63) DEFAULT 'default' NOT NULL,
  CONSTRAINT model_version_tag_pk PRIMARY KEY (workspace, "key", name, version),
  CONSTRAINT fk_model_version_tags_model_versions FOREIGN KEY(workspace, name, version) REFERENCES model_versions (workspace, name, version) ON UPDATE CASCADE
);
INSERT INTO "model_version_tags" VALUES('n','0','grapes',1,'default');
INSERT INTO "model_version_tags" VALUES('n','1','grapes',2,'default');
INSERT INTO "model_version_tags" VALUES('n','2','grapes',3,'default');
INSERT INTO "model_version_tags" VALUES('n','3','grapes',4,'default');
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
  storage_location VARCHAR(500),
  workspace VARCHAR(63) DEFAULT 'default' NOT NULL,
  CONSTRAINT model_version_pk PRIMARY KEY (workspace, name, version),
  CONSTRAINT fk_model_versions_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('grapes',1,1795234681976,1795234682023,'v1',NULL,'Production','{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts/out','501a01edd6994019a0fd2554e08db130','READY',NULL,NULL,'{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts/out','default');
INSERT INTO "model_versions" VALUES('grapes',2,1795234681983,1795234682009,NULL,NULL,'Deleted_Internal','REDACTED-SOURCE-PATH','REDACTED-RUN-ID','READY',NULL,'REDACTED-RUN-LINK','{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts/out','default');
INSERT INTO "model_versions" VALUES('grapes',3,1795234681987,1795234682035,'v3',NULL,'Staging','{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts/out','501a01edd6994019a0fd2554e08db130','READY',NULL,NULL,'{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts/out','default');
INSERT INTO "model_versions" VALUES('grapes',4,1795234681990,1795234681990,'v4',NULL,'None','{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts/out','501a01edd6994019a0fd2554e08db130','READY',NULL,NULL,'{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts/out','default');
INSERT INTO "model_versions" VALUES('grapes',5,1795234681995,1795234681995,NULL,NULL,'None','s3://bucket/elsewhere',NULL,'READY',NULL,NULL,'s3://bucket/elsewhere','default');
INSERT INTO "model_versions" VALUES('grapes',6,1795234682170,1795234682170,NULL,NULL,'None','models:/m-869b3ba6aaea49d7b49e3591c28eff39','501a01edd6994019a0fd2554e08db130','READY',NULL,NULL,'{root}/mlruns/1/models/m-869b3ba6aaea49d7b49e3591c28eff39/artifacts','default');
CREATE TABLE "params" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(8000) NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('alpha','0.5','501a01edd6994019a0fd2554e08db130');
INSERT INTO "params" VALUES('multi/part','a b','501a01edd6994019a0fd2554e08db130');
INSERT INTO "params" VALUES('empty','','501a01edd6994019a0fd2554e08db130');
INSERT INTO "params" VALUES('text','line 1
line 2','501a01edd6994019a0fd2554e08db130');
INSERT INTO "params" VALUES('umlaut','Äö','501a01edd6994019a0fd2554e08db130');
INSERT INTO "params" VALUES('p0','0','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "params" VALUES('p1','1','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "params" VALUES('was','here','b4691d54cf194614b8245af0a78b5da7');
CREATE TABLE "registered_model_aliases" (
  alias VARCHAR(256) NOT NULL,
  version INTEGER NOT NULL,
  name VARCHAR(256) NOT NULL,
  workspace VARCHAR(63) DEFAULT 'default' NOT NULL,
  CONSTRAINT registered_model_alias_pk PRIMARY KEY (workspace, name, alias),
  CONSTRAINT fk_registered_model_aliases_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
INSERT INTO "registered_model_aliases" VALUES('champion',3,'grapes','default');
INSERT INTO "registered_model_aliases" VALUES('older',1,'grapes','default');
CREATE TABLE "registered_model_tags" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  name VARCHAR(256) NOT NULL,
  workspace VARCHAR(63) DEFAULT 'default' NOT NULL,
  CONSTRAINT registered_model_tag_pk PRIMARY KEY (workspace, "key", name),
  CONSTRAINT fk_registered_model_tags_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON UPDATE CASCADE
);
INSERT INTO "registered_model_tags" VALUES('kind','wine','grapes','default');
CREATE TABLE "registered_models" (
  name VARCHAR(256) NOT NULL,
  creation_time BIGINT,
  last_updated_time BIGINT,
  description VARCHAR(5000),
  workspace VARCHAR(63) DEFAULT 'default' NOT NULL,
  CONSTRAINT registered_model_pk PRIMARY KEY (workspace, name)
);
INSERT INTO "registered_models" VALUES('grapes',1795234681964,1795234682170,'the model','default');
INSERT INTO "registered_models" VALUES('empty',1795234681973,1795234681973,NULL,'default');
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
  CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
  CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('501a01edd6994019a0fd2554e08db130','parent','UNKNOWN','','','root','FINISHED',1795234681625,1795234681868,'','active','{root}/mlruns/1/501a01edd6994019a0fd2554e08db130/artifacts',1,NULL);
INSERT INTO "runs" VALUES('b644b3df72324a5c8b2ad66e34e29558','child','UNKNOWN','','','root','FINISHED',1795234681790,1795234681858,'','active','{root}/mlruns/1/b644b3df72324a5c8b2ad66e34e29558/artifacts',1,NULL);
INSERT INTO "runs" VALUES('21f6a3dde55242a08ea28ddad2f422cc','overjoyed-squid-1','UNKNOWN','','','unknown','FAILED',1234567890123,1234567899999,'','active','{root}/mlruns/1/21f6a3dde55242a08ea28ddad2f422cc/artifacts',1,NULL);
INSERT INTO "runs" VALUES('a010749ffc5f4de592b91b35bfed12d3','polite-ox-521','UNKNOWN','','','unknown','RUNNING',1795234681889,NULL,'','active','{root}/mlruns/1/a010749ffc5f4de592b91b35bfed12d3/artifacts',1,NULL);
INSERT INTO "runs" VALUES('b4691d54cf194614b8245af0a78b5da7','delightful-squid-229','UNKNOWN','','','unknown','RUNNING',1795234681905,NULL,'','deleted','{root}/mlruns/1/b4691d54cf194614b8245af0a78b5da7/artifacts',1,1795234681919);
INSERT INTO "runs" VALUES('0797d7d8b4c1420fbe1f207aa577dcd9','dazzling-bug-213','UNKNOWN','','','unknown','RUNNING',1795234681926,NULL,'','deleted','{root}/mlruns/2/0797d7d8b4c1420fbe1f207aa577dcd9/artifacts',2,1795234681947);
INSERT INTO "runs" VALUES('1ce4a34897fa4597bae179ea72c6324a','handsome-crane-118','UNKNOWN','','','unknown','RUNNING',1795234681950,NULL,'','active','{root}/mlruns/0/1ce4a34897fa4597bae179ea72c6324a/artifacts',0,NULL);
CREATE TABLE "tags" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(8000),
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','501a01edd6994019a0fd2554e08db130');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','501a01edd6994019a0fd2554e08db130');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','501a01edd6994019a0fd2554e08db130');
INSERT INTO "tags" VALUES('mlflow.runName','parent','501a01edd6994019a0fd2554e08db130');
INSERT INTO "tags" VALUES('team','blue','501a01edd6994019a0fd2554e08db130');
INSERT INTO "tags" VALUES('note','two
lines','501a01edd6994019a0fd2554e08db130');
INSERT INTO "tags" VALUES('multi/tag','x','501a01edd6994019a0fd2554e08db130');
INSERT INTO "tags" VALUES('mlflow.user','root','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "tags" VALUES('mlflow.source.name','fill.py','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "tags" VALUES('mlflow.parentRunId','501a01edd6994019a0fd2554e08db130','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "tags" VALUES('mlflow.runName','child','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "tags" VALUES('t0','0','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "tags" VALUES('t1','1','b644b3df72324a5c8b2ad66e34e29558');
INSERT INTO "tags" VALUES('mlflow.runName','overjoyed-squid-1','21f6a3dde55242a08ea28ddad2f422cc');
INSERT INTO "tags" VALUES('mlflow.runName','polite-ox-521','a010749ffc5f4de592b91b35bfed12d3');
INSERT INTO "tags" VALUES('mlflow.runName','delightful-squid-229','b4691d54cf194614b8245af0a78b5da7');
INSERT INTO "tags" VALUES('mlflow.runName','dazzling-bug-213','0797d7d8b4c1420fbe1f207aa577dcd9');
INSERT INTO "tags" VALUES('mlflow.runName','handsome-crane-118','1ce4a34897fa4597bae179ea72c6324a');
COMMIT;
