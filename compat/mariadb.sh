# mariadb.sh - for the two scripts that run MariaDB: start it in $FOLDER, ask it; to be sourced
# shellcheck shell=bash
mariadb_start() { # PORT
    mkdir data
    mariadb-install-db --no-defaults --user=root --datadir="$FOLDER/data" --auth-root-authentication-method=normal \
        --skip-test-db >install.log 2>&1 || broken "mariadb-install-db fails"
    serve mariadbd --no-defaults --user=root --datadir="$FOLDER/data" --port="$1" --bind-address=127.0.0.1 \
        --socket="$FOLDER/socket" --pid-file="$FOLDER/pid" --thread-handling=one-thread-per-connection \
        --max-connections=6000 --back-log=2000 --skip-log-bin --thread-cache-size=16 --open-files-limit=19000 \
        --innodb-flush-log-at-trx-commit=2
    wait_port "$1"
    query "create user tester@'127.0.0.1'; create user tester@localhost; create database load_db;
        grant all on load_db.* to tester@'127.0.0.1'; grant all on load_db.* to tester@localhost" ||
        broken "cannot make a user"
}
query() {
    mariadb -N --socket="$FOLDER/socket" -uroot -e "$1"
}
