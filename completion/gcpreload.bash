# shellcheck shell=bash
# Completion of gcpreload for bash: /usr/share/bash-completion/completions/gcpreload. The words come
# from the command's own help, so that they are those of the version that is installed.

_gcpreload_options() {
	gcpreload "$@" --help 2>/dev/null | sed -n 's/^  *\(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

_gcpreload_commands() {
	gcpreload --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'
}

# The words that a setting may be, of the option --NAME: "(off, observe, freeze or idle; default: ...".
_gcpreload_values() {
	gcpreload run --help 2>/dev/null | tr -s ' \n' ' ' | sed 's/ --/\n--/g' |
		sed -n "s/^$1 .*(\([a-z0-9]*\(, [a-z0-9]*\)* or [a-z0-9]*\)[;)].*/\1/p" | sed 's/, \| or / /g'
}

# The pids of the user's Pythons, to attach to.
_gcpreload_pythons() {
	pgrep -u "$(id -u)" python 2>/dev/null
}

# The pids of processes that have measurements.
_gcpreload_pids() {
	gcpreload ps --json 2>/dev/null | sed -n 's/^ *"pid": \([0-9]*\),$/\1/p'
}

_gcpreload() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]-} i

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(_gcpreload_commands) help --help --version" -- "$word")
		return
	fi
	if [[ $command == run || $command == doctor ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [[ ${COMP_WORDS[i]} == -- ]]; then
				mapfile -t COMPREPLY < <(compgen -c -- "$word")
				return
			fi
		done
	fi
	if [[ $previous == = ]]; then # of --mode=
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $previous == --* && $word == = ]]; then
		word=
	fi
	case $previous in
	-m)
		previous=--mode
		;;
	--dir | --root)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	-o | --output | --page | --textfile | --library)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	esac
	if [[ $command == attach && $previous == --mode ]]; then
		mapfile -t COMPREPLY < <(compgen -W "observe freeze idle concurrent" -- "$word")
		return
	fi
	if [[ $command == run && $previous == --* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_gcpreload_values "$previous")" -- "$word")
		((${#COMPREPLY[@]})) && return
	fi
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_gcpreload_options "$command")" -- "$word")
	elif [[ $command == attach ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_gcpreload_pythons)" -- "$word")
	elif [[ $command == set ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_gcpreload_pids) $(_gcpreload_values --mode | sed 's/[a-z][a-z]*/mode=&/g') mode=default" -- "$word")
	elif [[ $command == report && " ${COMP_WORDS[*]} " =~ " --"(compare|fleet)" " ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	elif [[ $command != run && $command != clean && $command != path && $command != top ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_gcpreload_pids)" -- "$word")
	fi
}

complete -F _gcpreload gcpreload
