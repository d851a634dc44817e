#!/bin/bash
# apache_worker - apache2 with processes of 100 threads each
# packages: apache2-bin wrk curl
. "${0%/*}/../lib.sh"
port=23405 modules=/usr/lib/apache2/modules
chmod 755 "$FOLDER"
cat >apache.conf <<C
ServerRoot $FOLDER
ServerName localhost
PidFile $FOLDER/pid
ErrorLog $FOLDER/error.log
Listen 127.0.0.1:$port
LoadModule mpm_worker_module $modules/mod_mpm_worker.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule mime_module $modules/mod_mime.so
TypesConfig /etc/mime.types
User nobody
Group nogroup
StartServers 2
ServerLimit 4
ThreadLimit 100
ThreadsPerChild 100
MaxRequestWorkers 400
MinSpareThreads 50
MaxSpareThreads 400
MaxKeepAliveRequests 0
DocumentRoot $DATA/www
<Directory $DATA/www>
    Require all granted
</Directory>
C
serve apache2 -f "$FOLDER/apache.conf" -DFOREGROUND
wait_port $port
http_verify $port
http_load $port 128
http_verify $port
stop_server
finish
