-- What `ctornado help` prints, of everything and of each command.
local config = require "tornado.config"
local util = require "tornado.util"

local help = {}

local ALL = [[
ctornado %s: web server, web framework and asynchronous network library

  ctornado [serve] [--site=DIR] [--port=N] [--debug] [--NAME=VALUE ...]   serves sites
  ctornado new DIR              makes a new site, with a page, static files and a spec
  ctornado check                loads the configuration, sites and templates, reports errors
  ctornado routes               shows which handler answers which path
  ctornado run FILE.lua [...]   runs a script inside the event loop
  ctornado repl                 runs what is typed inside the event loop
  ctornado test [...]           runs busted specs inside the runtime (busted's arguments)
  ctornado version | help [COMMAND]

To a running server, found by the options that it was started with (--port, --listen, --control):

  ctornado status [--json]      shows its processes and their numbers
  ctornado profile 10s          shows what its Lua code spends the time with: a flame graph
  ctornado reload               has it load options and sites anew; if they fail, nothing changes
  ctornado upgrade              has the program that is installed now take over from it, likewise
  ctornado quit | stop          ends it: when what is under way is done, or at once
  ctornado reopen               has it open its log files anew, after they were moved

Options, each also a line of ctornado.conf [default]; BYTES are 64K or 1M, lists A,B,C:
%s

Exit codes: 0 done, 1 the work failed, 2 wrong usage.
]]

local RUNNING = [[
The server is found by the options that it was started with: give the same --port, --listen,
--control or --config.
]]

local TEXTS = {
    serve = [[
ctornado [serve] [--site=DIR] [--port=N] [--workers=N] [--debug] [--NAME=VALUE ...]

Serves the sites of ctornado.conf in this folder, or of --config=FILE, or the one of --site=DIR.
A site is a folder with app.lua, which returns a web.Application; `ctornado new DIR` makes one.

  ctornado --site=sites/hello --debug     tracebacks in replies, requests on stderr
  ctornado --workers=auto --port=8080     a process for each CPU

It serves in the foreground until SIGTERM or `ctornado quit`. See `ctornado help` for all options.
]],
    check = [[
ctornado check [--site=DIR] [--config=FILE]

Loads the configuration, every site and every template, as the server would, and reports each error
with file:line. Nothing is served. Exit code: 0 all is good, 1 something is not.
]],
    run = [[
ctornado run [--autoreload] FILE.lua [ARGUMENT ...]

Runs a script inside the event loop: it may wait (gen.sleep, httpclient.fetch, ...) as handlers do.
Its arguments are in `arg` and `...`. Exit code: 0, what it gave os.exit(), or 1 for an error. With
--autoreload it is run again whenever a file that it has loaded changes, also after it ended or
failed.
]],
    test = [[
ctornado test [FILE or FOLDER ...] [busted's options]

Runs busted specs, by default those of the folder spec/, inside the runtime, so that they may wait.
A case that leaves something behind (a coroutine, a timer, an open file) or logs an error which it
did not expect fails. Needs the Debian package lua-busted.

  ctornado test sites/hello/spec
  ctornado test spec/tornado/web_spec.lua --filter=redirect
  ctornado test --tags=slow --repeat=10 --output=TAP

`busted --help` has its options. Exit codes: 0 all passed, 1 not, 2 wrong usage.
]],
    version = "ctornado version\n\nPrints the versions of ctornado and LuaJIT.\n",
    help = "ctornado help [COMMAND]\n\nPrints all commands and options, or one command's help.\n",
    status = [[
ctornado status [--json]

Shows the processes of a running server and their numbers: for people, or as one line of JSON.

]] .. RUNNING,
    reload = [[
ctornado reload

Has a running server load its options and sites anew beside those that serve. When all is loaded,
the new ones take over; no connection is lost. If anything fails, nothing changes, the reason is
printed with file:line, and the exit code is 1.

]] .. RUNNING,
    upgrade = [[
ctornado upgrade

Has the program that is installed now take over from a running server: a new process loads options
and sites beside the old one, and then gets its listening sockets; the old one answers what it has
begun, and ends. No connection is lost. If the new one cannot serve, nothing changes, the reason is
printed, and the exit code is 1.

]] .. RUNNING,
    quit = [[
ctornado quit

Ends a running server when the requests that are under way are answered, at most
stop_delay and stop_timeout seconds from now.

]] .. RUNNING,
    stop = "ctornado stop\n\nEnds a running server at once.\n\n" .. RUNNING,
    reopen = [[
ctornado reopen

Has a running server open its log files anew, after they were moved away (logrotate).

]] .. RUNNING,
    new = [[
ctornado new DIR

Makes a new site in a folder that does not exist yet, or is empty:

  app.lua            routes and handlers
  templates/         the pages
  static/            what is sent as it is
  spec/app_spec.lua  what must hold: ctornado test DIR/spec
]],
    routes = [[
ctornado routes [--site=DIR] [--config=FILE] [--json]

Shows the routes of every site in the order in which they are tried: host and prefix of the site,
pattern, handler with the place of its definition, name. The sites are loaded, not served.

]],
    repl = [[
ctornado repl [--site=DIR] [--config=FILE]

Runs what is typed inside the event loop. An expression's values are printed; `=` before it is
allowed. What waits may be called as in a handler: httpclient.fetch("http://127.0.0.1:8888/").body
Modules of tornado are there by their names (web, httpclient, gen, escape, ...), sites as `sites`
and, the first, as `app`; its own modules are found by require().

An incomplete line is continued on the next one. Ctrl-C cancels what waits, or the line; Ctrl-D
ends. Lines are kept in ~/.ctornado_history. When standard input is no terminal, its lines are run,
and the exit code is 1 if one of them raised an error.
]],
    profile = [[
ctornado profile [SECONDS] [--worker=N] [--hz=N] [--format=svg|collapsed] [--output=FILE]

Looks for that long (10s; up to 300s or 5m) which Lua functions a running worker is in, a hundred
times a second, and writes a flame graph: an SVG for any browser. Wide is what takes long. The time
counts in which Lua holds the loop: computing, and blocked in a call of C.

  ctornado profile 10s --port=8080
  ctornado profile 30s --hz=1000 --format=collapsed --output=- | other-tool

]] .. RUNNING,
}

--- All commands and options.
function help.all()
    return ALL:format(util.version, config.help())
end

--- One command; `own` are its options.
function help.of(name, own)
    local text = TEXTS[name]
    if not own or #own == 0 then return text end
    return text .. (text:sub(-2) == "\n\n" and "" or "\n") .. "Options of its own:\n" ..
        config.help(own) .. "\n"
end

return help
