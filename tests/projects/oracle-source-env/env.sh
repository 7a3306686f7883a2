export DATA_HOME=/srv/data
