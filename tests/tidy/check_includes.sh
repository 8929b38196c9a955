# SPDX-License-Identifier: Apache-2.0
# Includes against src/DEPS.

check() {
    { cat src/DEPS; echo "=== includes"
      c_files src include vmm procedures keys tools appliance server examples |
          xargs grep -HnE '^[ \t]*#[ \t]*include[ \t]*["<]'; } | awk '
        /^=== includes/ { including = 1; next }
        !including && (/^#/ || NF == 0) { next }
        !including {
            # A line of src/DEPS.
            line = $0
            headers = ""
            if (at = index(line, "|")) { headers = substr(line, at + 1); line = substr(line, 1, at - 1) }
            at = index(line, ":")
            module = substr(line, 1, at - 1)
            count = split(substr(line, at + 1), names, " ")
            for (i = 1; i <= count; i++) {
                if (names[i] != "public" && !(names[i] in known))
                    print "src/DEPS: " module " names " names[i] ", which is not above it"
                may[module, names[i]] = 1
            }
            known[module] = 1
            may[module, module] = 1
            count = split(headers, names, " ")
            for (i = 1; i <= count; i++) owner[names[i]] = module
            next
        }
        {
            # FILE:LINE:#include "what"
            split($0, part, ":")
            file = part[1]
            where = part[1] ":" part[2]
            if (file ~ /^include\/vine\//) {
                name = file
                sub(/.*\//, "", name)
                module = owner[name]
                if (module == "") {
                    if (!told[file]++) print file ": no module of src/DEPS owns this header"
                    next
                }
            } else {
                module = file
                sub(/^src\//, "", module)
                sub(/\/[^\/]*$/, "", module)
                while (!(module in known) && sub(/\/[^\/]*$/, "", module)) { }
                if (!(module in known)) {
                    if (!told[module]++) print where ": module " module " is not in src/DEPS"
                    next
                }
            }
            what = $0
            sub(/.*#[ \t]*include[ \t]*/, "", what)
            if (match(what, /^<vine\/[^>]*>/)) {
                name = substr(what, 7, RLENGTH - 7)
                if (!(name in owner))
                    print where ": <vine/" name "> has no owner in src/DEPS"
                else if (!((module, owner[name]) in may) && !((module, "public") in may))
                    print where ": " module " may not include <vine/" name "> of " owner[name]
            } else if (match(what, /^"[^"]*"/)) {
                name = substr(what, 2, RLENGTH - 2)
                sub(/^(\.\.\/)+/, "", name)
                target = name
                if (!sub(/\/[^\/]*$/, "", target))
                    target = module   # beside the including file
                if (!(target in known))
                    print where ": \"" name "\" is in no module of src/DEPS"
                else if (!((module, target) in may))
                    print where ": " module " may not include \"" name "\""
                else if (name ~ /_internal\.h$/ && target != module)
                    print where ": \"" name "\" is for " target " alone"
                else if (file ~ /^include\//)
                    print where ": a public header includes a private one"
            }
        }'
}

plant() {
    echo '#include "core/talk/half.h"' >>src/utils/error.c
    expected='utils may not include "core/talk/half.h"'
}
