# Everyday recipes; `npx just` lists them.

# Show the recipes
default:
    @just --list

# Install the dependencies and build
install:
    npm ci

# Compile everything to dist/
build:
    npm run build

# Run the tests, or those whose files are named
test *files: build
    npx vitest run {{ files }}

# Types, lint, format and layering
check:
    npm run check

# Put every file into the project's format
format:
    npm run format

# Start a server: just serve --runtime bun
serve *flags:
    node dist/ringkv.js serve {{ flags }}

# Talk to a server: just shell get a
shell *words:
    node dist/ringkv.js shell {{ words }}

# Run a suite of the benchmark: just bench matrix --quick
bench *words:
    node dist/ringkv.js bench {{ words }}

# Which runtimes and transports work here
doctor:
    node dist/ringkv.js doctor

# What CI runs, from a clean installation on
ci:
    .ci/run
