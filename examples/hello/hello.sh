# Usage: hello.sh [--shout] TIMES NAME
greeting="Hello"
if [ "$1" = "--shout" ]; then
    greeting="HELLO"
    shift
fi
for i in $(seq "$1"); do
    echo "$greeting, $2!"
done
