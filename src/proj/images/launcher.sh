# --- text -----------------------------------------------------------------------------------------------
# Values are only ever data here: each function leaves its result in `r`.

die() {
  printf 'proj: %s\n' "$1" >&2
  exit "${2:-2}"
}

# swap VALUE CHARACTER BY: put BY in the place of each CHARACTER. Splitting takes one pass over the value,
# where `${__value%%x*}` in a loop takes as many as it has characters.
swap() {
  __swap_by=$3
  set -f
  IFS=$2
  # shellcheck disable=SC2086  it is to be split
  set -- $1'.'
  unset IFS
  set +f
  __r=$1
  shift
  for __swap_next; do
    __r=$__r$__swap_by$__swap_next
  done
  __r=${__r%.}
}

# part VALUE BY: put BY between each $ and a bracket or quote behind it, and behind a $ at the end
part() {
  __part_value=$1
  __r=
  while :; do
    case $__part_value in
      *'$'*)
        __r=$__r${__part_value%%'$'*}'$'
        __part_value=${__part_value#*'$'}
        case $__part_value in
          '' | '('* | '{'* | '['* | "'"* | '"'*) __r=$__r$2 ;;
        esac
        ;;
      *)
        __r=$__r$__part_value
        return
        ;;
    esac
  done
}

# quote VALUE: as Python's shlex.quote
quote() {
  case $1 in
    '' | *[!$__safe]*)
      swap "$1" "'" "'\"'\"'"
      __r="'$__r'"
      ;;
    *) __r=$1 ;;
  esac
}

# trim VALUE: without blanks at its ends
trim() {
  __r=$1
  while [ ${#__r} -le 200 ]; do
    case $__r in
      [' '"$__tab$__nl$__cr"]*) __r=${__r#?} ;;
      *[' '"$__tab$__nl$__cr"]) __r=${__r%?} ;;
      *) return ;;
    esac
  done
}

# lower VALUE
lower() {
  __r=$1
  if [ ${#__r} -gt 200 ]; then
    return
  fi
  __r=
  __lower_rest=$1
  while [ -n "$__lower_rest" ]; do
    __lower_next=${__lower_rest#?}
    __lower_first=${__lower_rest%"$__lower_next"}
    __lower_rest=$__lower_next
    case $__lower_first in
      A) __r=${__r}a ;; B) __r=${__r}b ;; C) __r=${__r}c ;; D) __r=${__r}d ;; E) __r=${__r}e ;; F) __r=${__r}f ;; G) __r=${__r}g ;;
      H) __r=${__r}h ;; I) __r=${__r}i ;; J) __r=${__r}j ;; K) __r=${__r}k ;; L) __r=${__r}l ;; M) __r=${__r}m ;; N) __r=${__r}n ;;
      O) __r=${__r}o ;; P) __r=${__r}p ;; Q) __r=${__r}q ;; R) __r=${__r}r ;; S) __r=${__r}s ;; T) __r=${__r}t ;; U) __r=${__r}u ;;
      V) __r=${__r}v ;; W) __r=${__r}w ;; X) __r=${__r}x ;; Y) __r=${__r}y ;; Z) __r=${__r}z ;;
      *) __r=$__r$__lower_first ;;
    esac
  done
}

# --- values in their places -----------------------------------------------------------------------------
# The same as proj.command.escapes, place by place. NAME is for messages, FLAGS a list of words.

has() {
  case " $__flags " in
    *" $1 "*) return 0 ;;
  esac
  return 1
}

unfit() {
  die "the value of '$__name' cannot be put into the command: $1"
}

# put NAME VALUE PLACE LEVELS FLAGS: append the value to the line, escaped for its place
put() {
  __name=$1 __value=$2 __place=$3 __levels=$4 __flags=$5
  if has no_control; then
    case $__value in
      *"$__soh"* | *"$__del"*) unfit 'bash loses its control characters there.' ;;
    esac
  fi
  if has quoted; then
    quote "$__value"
    __value=$__r
  fi
  if has no_subscript; then
    case $__value in
      *'['*) unfit 'the shell would compute what stands in its brackets.' ;;
    esac
  fi
  "put_$__place"
  if [ "$__levels" -gt 0 ]; then
    put_in_backticks
  fi
  if has single_line; then
    case $__r in
      *"$__nl"*) unfit 'it has several lines, inside a command in a here-document.' ;;
    esac
  fi
  if has no_leading_tab; then
    case $__nl$__r in
      *"$__nl$__tab"*) unfit 'it has a tab at the beginning of a line, which <<- removes.' ;;
    esac
  fi
  __line=$__line$__r
}

after_backslash() {
  if has after_backslash; then
    __r=$1$__r
  fi
}

put_unquoted() {
  __put_bare=yes
  case $__value in
    '' | *[!$__safe]*) __put_bare=no ;;
  esac
  if has quote_always; then
    __put_bare=no
  fi
  if has in_command_position; then
    case $__value in
      *[!$__small]*) ;;
      *) __put_bare=no ;;
    esac
  fi
  if [ "$__put_bare" = yes ]; then
    __r=$__value
  else
    swap "$__value" "'" "'\\''"
    __r="'$__r'"
  fi
  after_backslash "$__nl"
}

put_single() {
  swap "$__value" "'" "'\\''"
}

put_here() {
  swap "$__value" '\' '\\'
  swap "$__r" '$' '\$'
  swap "$__r" '`' '\`'
  after_backslash '\'
}

put_double() {
  swap "$__value" '\' '\\'
  swap "$__r" '$' '\$'
  swap "$__r" '`' '\`'
  swap "$__r" '"' '\"'
  after_backslash '\'
}

put_ansi() {
  swap "$__value" '\' '\\'
  swap "$__r" "'" '\047'
  after_backslash '\'
}

put_here_literal() {
  __r=$__value
}

put_comment() {
  case $__value in
    *[!' '$__safe]*) __r='?' ;;
    *) __r=$__value ;;
  esac
}

put_arithmetic() {
  __put_digits=${__value#-}
  case $__put_digits in
    '' | *[!0123456789]*) unfit "the shell computes there, and it is not an integer: $__value" ;;
  esac
  __r=$__value
  case $__value in
    -*) if has inner_arithmetic; then __r="($__value)"; fi ;;
  esac
}

put_expansion() {
  case $__value in
    *[!$__plain]*) unfit 'it cannot be quoted there.' ;;
  esac
  if [ -z "$__value" ] && has after_backslash; then
    unfit 'it cannot be quoted there.'
  fi
  __r=$__value
}

put_nested() {
  put_expansion
  if has inner_unquoted; then
    put_unquoted
  fi
}

put_word_double() {
  case $__value in
    *"'"*) unfit 'it cannot be quoted there.' ;;
  esac
  if has after_backslash; then
    unfit 'it cannot be quoted there.'
  fi
  swap "$__value" '\' '\\'
  swap "$__r" '$' '\$'
  swap "$__r" '`' '\`'
  swap "$__r" '"' '\"'
  swap "$__r" '}' '\}'
}

# Bash looks for the end of `$(` even in quotes inside backticks: keep the two characters apart.
put_in_backticks() {
  case $__place in
    unquoted | single) __apart="''" ;;
    double) __apart='""' ;;
    *)
      case $__r in
        *'$('* | *'${'* | *'$['* | *"\$'"* | *'$"'* | *'$' | '('* | '{'* | '['*)
          unfit 'it cannot be quoted inside backticks.'
          ;;
      esac
      __apart=
      ;;
  esac
  if [ -n "$__apart" ]; then
    part "$__r" "$__apart"
    case $__r in
      '('* | '{'* | '['*) __r=$__apart$__r ;;
    esac
  fi
  while [ "$__levels" -gt 0 ]; do
    swap "$__r" '\' '\\'
    swap "$__r" '`' '\`'
    __levels=$((__levels - 1))
  done
}

# switch NAME VALUE PLACE LEVELS FLAGS: append --NAME, or nothing
switch() {
  trim "$2"
  lower "$__r"
  case $__r in
    true | yes | on | y | t | 1) put "$1" "--$1" "$3" "$4" "$5" ;;
    false | no | off | n | f | 0 | none | null | '') ;;
    *) die "the switch '$1' is neither true nor false: $2" ;;
  esac
}

# here BODY DELIMITER STRIP NESTED: refuse a body of which a line would end the here-document
here() {
  __here_end=$2 __here_strip=$3 __here_nested=$4
  if [ -z "$__here_end" ]; then
    case $__nl$1$__nl in
      *"$__nl$__nl"*) ends_here ;;
    esac
  fi
  set -f
  IFS=$__nl
  # shellcheck disable=SC2086  it is to be split into its lines
  set -- $1
  unset IFS
  set +f
  for __here_line; do
    __here_bare=$__here_line
    while :; do
      case $__here_bare in
        "$__tab"*) __here_bare=${__here_bare#?} ;;
        *) break ;;
      esac
    done
    if [ "$__here_line" = "$__here_end" ]; then
      ends_here
    fi
    if [ "$__here_strip" = yes ] && [ "$__here_bare" = "$__here_end" ]; then
      ends_here
    fi
    if [ "$__here_nested" = yes ]; then
      case $__here_bare in
        "$__here_end"*) ends_here ;;
      esac
    fi
  done
}

ends_here() {
  die "a value makes a line '$__here_end', which would end the here-document."
}

# --- values as they are given ---------------------------------------------------------------------------

wrong() {
  __problems="$__problems${__nl}  Parameter \`$1\` $2."
}

# check_whole NAME VALUE, check_number NAME VALUE, check_truth NAME VALUE
check_whole() {
  number "$2"
  case $__r in
    whole | scaled) ;;
    *) wrong "$1" "must be a whole number, not '$2'" ;;
  esac
}

check_number() {
  number "$2"
  if [ "$__r" = no ]; then
    wrong "$1" "must be a number, not '$2'"
  fi
}

check_truth() {
  trim "$2"
  lower "$__r"
  case $__r in
    true | yes | on | y | t | 1 | false | no | off | n | f | 0) ;;
    *) wrong "$1" "must be true or false, not '$2'" ;;
  esac
}

# number VALUE: whole, scaled (with an exponent), broken (with a fraction), special (inf, nan), or no
number() {
  trim "$1"
  lower "$__r"
  __number_text=${__r#[+-]}
  __r=no
  case $__number_text in
    inf | infinity | nan) __r=special ;;
    0x*) digits "${__number_text#0x}" 0123456789abcdef_ whole ;;
    0o*) digits "${__number_text#0o}" 01234567_ whole ;;
    0b*) digits "${__number_text#0b}" 01_ whole ;;
    *e*)
      __number_power=${__number_text#*e}
      digits "${__number_power#[+-]}" 0123456789_ scaled
      if [ "$__r" = scaled ]; then
        decimal "${__number_text%%e*}"
        if [ "$__r" != no ]; then
          __r=scaled
        fi
      fi
      ;;
    *) decimal "$__number_text" ;;
  esac
}

digits() {
  __r=no
  case $1 in
    '' | *[!$2]* | _* | *_) ;;
    *) __r=$3 ;;
  esac
}

decimal() {
  case $1 in
    *.*)
      __decimal_whole=${1%%.*}
      __decimal_part=${1#*.}
      digits "$__decimal_whole$__decimal_part" 0123456789_ broken
      case $__decimal_part in
        *[!0_]*) ;;
        *) if [ "$__r" = broken ]; then __r=whole; fi ;;
      esac
      ;;
    *) digits "$1" 0123456789_ whole ;;
  esac
}

# check_range NAME VALUE LEAST MOST: as far as there is an awk that can compare
check_range() {
  case $2 in
    *[xXoObB_]*) return ;;
  esac
  number "$2"
  if [ "$__r" = no ] || ! command -v awk >/dev/null 2>&1; then
    return
  fi
  case $__r in
    special) __range_word='is no number that could be in a range' ;;
    *) __range_word=$(VALUE=$2 LEAST=$3 MOST=$4 awk 'BEGIN {
      v = ENVIRON["VALUE"] + 0
      if (ENVIRON["LEAST"] != "" && v < ENVIRON["LEAST"] + 0) print "must be at least " ENVIRON["LEAST"]
      else if (ENVIRON["MOST"] != "" && v > ENVIRON["MOST"] + 0) print "must be at most " ENVIRON["MOST"]
    }') ;;
  esac
  if [ -n "$__range_word" ]; then
    wrong "$1" "$__range_word, not '$2'"
  fi
}

# local_path NAME VALUE: a path of this container, absolute; it has to exist
local_path() {
  __r=$2
  scheme "$2"
  if [ "$__r" = file ]; then
    __r=${2#*:}
    __r=${__r#//localhost}
    case $__r in
      //*) __r=/${__r#//} ; __r=/${__r#//} ;;
    esac
    __local_value=$__r
  elif [ -n "$__r" ]; then
    wrong "$1" "names '$2', which cannot be fetched here: mount it, and give its path"
    return
  else
    __local_value=$2
  fi
  absolute "$__local_value"
  if [ -n "$__local_value" ] && [ ! -e "$__r" ]; then
    wrong "$1" "names '$2', which does not exist in this container: mount it, and give its path"
  fi
}

# uri NAME VALUE: a URI as it is, a path absolute
uri() {
  scheme "$2"
  if [ -n "$__r" ]; then
    __r=$2
  else
    absolute "$2"
  fi
}

absolute() {
  __r=$1
  case $__r in
    '' | /*) return ;;
  esac
  while :; do
    case $__r in
      ./*) __r=${__r#./} ;;
      ?*/) __r=${__r%/} ;;
      *) break ;;
    esac
  done
  case $__r in
    '' | .) __r=$PWD ;;
    *) __r=$PWD/$__r ;;
  esac
}

# scheme VALUE: what stands before the colon of a URI, in small letters; nothing for a path
scheme() {
  __r=
  case $1 in
    [$__letters]*:*) ;;
    *) return ;;
  esac
  __scheme_word=${1%%:*}
  case $__scheme_word in
    ? | *[!$__letters'0123456789+.-']*) ;;
    *) lower "$__scheme_word" ;;
  esac
}

# --- the start ------------------------------------------------------------------------------------------

give() {
  case $1 in
    =* | '') die "Invalid format for -P parameter: '$1'. Use -P __name=value." ;;
    *=*) ;;
    *) die "Invalid format for -P parameter: '$1'. Use -P __name=value." ;;
  esac
  __given_name=${1%%=*}
  __given_value=${1#*=}
  "give_$__entry"
}

repeated() {
  die "Repeated parameter: '$__given_name'"
}

undeclared() {
  case $__undeclared_names in
    *"$__nl$__given_name="*) repeated ;;
  esac
  __undeclared_names=$__undeclared_names$__nl$__given_name=
  quote "--$__given_name"
  __extra="$__extra $__r"
  quote "$__given_value"
  __extra="$__extra $__r"
}

start() {
  __safe='ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-'
  __plain='ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-'
  __small=abcdefghijklmnopqrstuvwxyz
  __letters=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz
  __nl='
'
  __tab=$(printf '\t') __cr=$(printf '\r') __soh=$(printf '\001') __del=$(printf '\177')
  __problems= __missing= __extra= __undeclared_names=$__nl __line=
  # Letters are bytes here, whatever the program's language is.
  __saved_locale=${LC_ALL-} __had_locale=${LC_ALL+yes}
  LC_ALL=C
  unset IFS

  __dry_run=no
  __entry= __wanted=$__default_entry
  __rest=$#
  while [ "$__rest" -gt 0 ]; do
    __argument=$1
    shift
    __rest=$((__rest - 1))
    case $__argument in
      -h | --help)
        help
        exit 0
        ;;
      -e | --entry-point)
        [ "$__rest" -gt 0 ] || die "$__argument needs the name of an entry point."
        __wanted=$1
        shift
        __rest=$((__rest - 1))
        ;;
      --entry-point=*) __wanted=${__argument#*=} ;;
      --dry-run) __dry_run=yes ;;
      -P | --param-list)
        [ "$__rest" -gt 0 ] || die "$__argument needs NAME=VALUE."
        set -- "$@" "$1"
        shift
        __rest=$((__rest - 1))
        ;;
      -P*) set -- "$@" "${__argument#-P}" ;;
      --param-list=*) set -- "$@" "${__argument#*=}" ;;
      -*) die "no such option: $__argument (see --help); a parameter is given as NAME=VALUE." ;;
      *) set -- "$@" "$__argument" ;;
    esac
  done
  find_entry
  for __argument; do
    give "$__argument"
  done
  "fill_$__entry"
  if [ -n "$__missing" ]; then
    __problems="${__nl}  No value given for missing parameters:$__missing.$__problems"
  fi
  if [ -n "$__problems" ]; then
    die "entry point '$__wanted' cannot run with these parameters:$__problems"
  fi
  "render_$__entry"
  if [ "$__had_locale" = yes ]; then
    LC_ALL=$__saved_locale
  else
    unset LC_ALL
  fi
  if [ "$__dry_run" = yes ]; then
    printf '%s\n' "$__line"
    exit 0
  fi
  if command -v bash >/dev/null 2>&1; then
    exec bash -c "$__line"
  fi
  exec sh -c "$__line"
}
