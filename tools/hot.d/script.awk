# Makes init/hot.ld. Files, in this order: nm of the program (with sizes), nm -A of the C library, and what ran in each machine.
# Hashes are left out of names, so that the list outlives compilers. A name that then stands for much that never runs comes
# after those of its kind that do not.
function section(name) {
    if (name ~ /^_ZN/) { sub(/17h[0-9a-f]+E.*/, "17h*", name); return "*(.text." name ")" }
    if (name ~ /^_R/) { sub(/\..*/, "", name); gsub(/Cs[0-9A-Za-z]+_/, "Cs*_", name); return "*(.text." name " .text." name ".*)" }
    if (name in member) return member[name] "(.text .text.*)"
    return "*(.text." name ")"
}
FNR == 1 { file++ }
file == 1 && NF == 4 && $3 ~ /[tTwW]/ { bytes[$4] = hex($2); next }
file == 2 && NF >= 2 && $(NF - 1) ~ /[tTwWiI]/ {
    n = split($1, part, ":"); object = part[2]
    if (!($NF in member)) member[$NF] = "*libc.a:" object
    next
}
file > 2 { if (!($2 in kind) || $1 < kind[$2]) kind[$2] = $1 }
function hex(text,   i, value) {
    for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
    return value
}
END {
    for (name in bytes) all[section(name)] += bytes[name]
    for (name in kind) {
        s = section(name); runs[s] += bytes[name]
        if (!(s in of) || kind[name] < of[s]) of[s] = kind[name]
    }
    for (s in runs) {
        sparse = all[s] > 2048 && all[s] > 3 * runs[s]
        print of[s] sparse " " s
    }
}
