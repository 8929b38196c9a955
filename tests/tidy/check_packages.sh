# SPDX-License-Identifier: Apache-2.0
# What the build looks for is in packages.list, and every package there is in 3rdparty/README.md.

# Libraries of the project itself.
parts='procedures|streams|keys|tools|engine|pool|server|image|guest|runtime|world'

check() {
    awk '!/^#/ && NF { print $3 }' packages.list | sort -u >"$scratch/provided"
    {
        sed -n 's/.*vine_find(\([a-z][a-z0-9._-]*\)).*/\1/p' CMakeLists.txt cmake/*.cmake */CMakeLists.txt
        sed -n 's/^set(vine_tool_modules \(.*\))/\1/p' cmake/VineTool.cmake | tr ' ' '\n'
        grep -rhoE '^/\* (needs|test): .*\*/' tests bench | tr ' ' '\n' |
            sed -n 's/^links=//p' | grep -vxE "$parts"
        grep -rhoE '^/\* needs: .*\*/' bench | sed 's|^/\* needs: *||; s| *\*/$||' | tr ' ' '\n' |
            grep -vxE "$parts"
    } | sed '/^$/d' | sort -u | while read -r name; do
        grep -qxF -- "$name" "$scratch/provided" || echo "packages.list: no line provides $name"
    done
    awk '!/^#/ && NF { print $1, $2 }' packages.list | while read -r group package; do
        grep -qF "\`$package\`" 3rdparty/README.md ||
            echo "3rdparty/README.md: nothing on $package"
        case $group in
        build|test|check|demo|demo-vm|bench|docs) ;;
        *) echo "packages.list: unknown group $group" ;;
        esac
    done
    awk '!/^#/ && NF && (NF < 4 || seen[$1, $2]++) { print "packages.list:" FNR ": " $0 }' packages.list
}

plant() {
    mkdir -p bench
    printf '/* needs: libplanted */\n' >bench/bench_planted.c
    expected='no line provides libplanted'
}
