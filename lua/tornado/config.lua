-- ctornado's own options: what there is, and where the values come from - the
-- defaults, ctornado.conf, the command line, each over the one before.
local files = require "tornado.autoreload.files"
local proxy = require "tornado.httputil.proxy"
local script = require "tornado.options.script"
local util = require "tornado.util"

local config = {}

-- Every option: name, type, default, what it is. Types: integer, seconds, bytes ("64K", "1M",
-- "2G"), boolean, switch (or "auto"), string, list (strings), sites, listen, level, format,
-- networks.
config.OPTIONS = {
    { "config", "string", "ctornado.conf", "configuration file; missing is fine unless named" },
    { "site", "string", "", "serve the site in this folder, instead of `sites`" },
    { "sites", "sites", {}, "sites: folders, or { path =, host =, prefix = }" },
    { "address", "string", "127.0.0.1", "IP address to listen on; * for all" },
    { "port", "integer", 8888, "TCP port to listen on; 0 for any free one", 0, 65535 },
    { "listen", "listen", {}, "addresses instead of address and port: HOST:PORT, unix:/PATH" },
    { "certfile", "string", "", "HTTPS on address and port: PEM certificate, or self-signed" },
    { "keyfile", "string", "", "the key of certfile; empty: it is in certfile itself" },
    { "tls_ticket_rotation", "seconds", 43200, "that a key of session tickets lasts; 0: ever", 0 },
    { "backlog", "integer", 4096, "connections that may wait to be accepted", 1, 65535 },
    { "stop_delay", "seconds", 0, "to go on serving, not ready, before it begins to end", 0 },
    { "stop_timeout", "seconds", 10, "that requests under way have when the server is to end", 0 },
    { "reload_grace", "seconds", 600, "that requests have which began before a reload", 0 },
    { "workers", "workers", 1, "processes that serve; auto: one for each CPU", 1, 256 },
    { "supervise", "boolean", false, "have a master also for one worker" },
    { "worker_timeout", "seconds", 60, "a worker that hangs for so long is replaced; 0: never", 0 },
    { "user", "string", "", "user that workers run as, when the master is root" },
    { "group", "string", "", "group that workers run as; empty: the user's" },
    { "control", "string", "auto", "unix socket for reload, status, quit; none; auto" },
    { "admin", "string", "", "address for dashboard, health and metrics: HOST:PORT, unix:/PATH" },
    { "pid_file", "string", "", "file with the number of the process that serves" },
    { "no_new_privs", "boolean", true, "programs that handlers start gain no rights by setuid" },
    { "core_dumps", "boolean", false, "a crash may leave a file with all memory, keys included" },
    { "debug", "boolean", false, "development: tracebacks in replies, access log to stderr" },
    { "autoreload", "switch", "auto", "reload by itself when a file changes; auto: with debug" },
    { "log_level", "level", "info", "debug, info, warning, error or none" },
    { "log_format", "format", "text", "text, or json: an object a line" },
    { "log_file", "string", "", "file for the log instead of stderr" },
    { "access_log", "string", "", "file for a line a request; stderr; empty for none" },
    { "access_log_format", "access_format", "auto", "tornado, combined, json; auto: log_format's" },
    { "trace_accept", "accept", "all", "whose traceparent goes on: all, proxies or none" },
    { "trace_begin", "boolean", false, "a request without a traceparent begins a trace" },
    { "max_connections", "integer", 20000, "clients at once, of all workers; more get 503", 1,
        1000000 },
    { "max_open_files", "integer", 0, "descriptors of a process; 0: all that the system allows", 0,
        1000000000 },
    { "max_connections_per_ip", "integer", 1000, "of one address; more get 503; 0: any number",
        0, 1000000 },
    { "max_keepalive_requests", "integer", 10000, "requests before a connection is closed", 1 },
    { "xheaders", "boolean", false, "believe a proxy's X-Real-Ip, X-Forwarded-For and -Proto" },
    { "proxy_protocol", "boolean", false, "connections begin with a PROXY header, version 1 or 2" },
    { "trusted_downstream", "networks", {}, "other machines' proxies: IPs, networks" },
    { "max_line_size", "bytes", 8192, "request line; longer gets 414", 64, 1048576 },
    { "max_header_size", "bytes", 65536, "whole head; larger gets 431", 256, 16777216 },
    { "max_fields", "integer", 200, "header fields; more get 431", 1, 100000 },
    { "max_body_size", "bytes", 1048576, "request body; larger gets 413", 0 },
    { "body_buffer_size", "bytes", 262144, "of a body in memory; the rest goes to disk", 0,
        1073741824 },
    { "decompress_request", "boolean", false, "decode request bodies that are gzip" },
    { "body_temp_dir", "string", "/tmp", "folder for bodies on disk" },
    { "write_buffer_size", "bytes", 262144, "unsent output that makes a writer wait", 1024,
        1073741824 },
    { "static_coded_size", "bytes", 8388608, "compressed forms of static files in memory", 0,
        1073741824 },
    { "header_timeout", "seconds", 10, "for the whole head of a request to come; then 408", 0.1 },
    { "body_timeout", "seconds", 30, "for a body, and more by body_min_rate; then 408", 0.1 },
    { "body_min_rate", "bytes", 240, "bytes a second that earn a body more time", 0 },
    { "idle_timeout", "seconds", 65, "between requests of a connection", 0.1 },
    { "write_timeout", "seconds", 30, "over which a slow client is measured; then it is cut", 0.1 },
    { "write_min_rate", "bytes", 240, "bytes a second that a client must take in that time", 0 },
    { "handler_timeout", "seconds", 60, "for a handler to finish; then 503", 0.1 },
    { "executor_threads", "integer", 0, "threads of run_in_executor(); 0: one a CPU, 2 at least", 0,
        256 },
    { "executor_queue", "integer", 10000, "calls that may wait for a thread; more are refused", 0,
        1000000 },
    { "executor_timeout", "seconds", 0, "for a call there, which is then interpreted; 0: none", 0,
        1000000 },
    { "stall_warning", "seconds", 0.05, "what holds the loop longer is logged; 0: nothing", 0,
        86400 },
    { "cpu_limit", "seconds", 10, "what holds the loop longer is stopped: 503; 0: nothing", 0,
        86400 },
    { "lua_memory_limit", "bytes", 536870912, "of Lua's memory; who needs more gets 500; 0: any", 0,
        1099511627776 },
    { "resolver_servers", "list", {}, "DNS servers: IP, IP:PORT, [IPv6]:PORT; else resolv.conf's" },
    { "resolver_conf", "string", "/etc/resolv.conf", "file with DNS servers and search domains" },
    { "resolver_timeout", "seconds", 1.5, "for the first try of a DNS server, then doubled", 0.01,
        60 },
    { "resolver_tries", "integer", 2, "tries of each DNS server", 1, 10 },
    { "resolver_deadline", "seconds", 5, "for a name, all tries and servers together", 0.01, 600 },
    { "resolver_max_ttl", "seconds", 300, "that addresses are kept at most; 0: ask each time", 0,
        604800 },
}

local by_name, names = {}, {}
for _, option in ipairs(config.OPTIONS) do
    by_name[option[1]] = option
    names[#names + 1] = option[1]
end

local function normal(name)
    return (name:gsub("%-", "_"))
end

-- `own`: the options of a command, which are known besides.
local function unknown(name, own)
    local known = names
    if own then
        known = { unpack(names) }
        for _, option in ipairs(own) do known[#known + 1] = option[1] end
    end
    local near = util.nearest(name, known)
    local hint = near and (' (did you mean "%s"?)'):format(near) or
        name:find "^%-%f[^-]" and "; options are --name=value, see ctornado help" or
        "; see ctornado help"
    return ('unknown option "%s"%s'):format(name, hint)
end

-- Values ---------------------------------------------------------------------------

local UNITS = { [""] = 1, K = 1024, M = 1048576, G = 1073741824 }
local TRUE = { ["true"] = true, ["1"] = true, yes = true, on = true }
local FALSE = { ["false"] = true, ["0"] = true, no = true, off = true }
local LEVELS = { debug = true, info = true, warning = true, error = true, none = true }

local ACCEPT = { all = true, proxies = true, none = true }
local ACCESS_FORMATS = { auto = true, tornado = true, combined = true, json = true }

local parse, check = {}, {}

function parse.integer(text)
    return text:find("^%-?%d+$") and tonumber(text)
end

function parse.switch(text)
    if text == "auto" then return text end
    return parse.boolean(text)
end

function parse.workers(text)
    return text == "auto" and text or parse.integer(text)
end

function parse.seconds(text)
    return text:find("^%d+%.?%d*$") and tonumber(text)
end

function parse.bytes(text)
    local digits, unit = text:match("^(%d+)([KMG]?)$")
    return digits and tonumber(digits) * UNITS[unit]
end

function parse.boolean(text)
    if TRUE[text] then return true end
    if FALSE[text] then return false end
end

function parse.string(text) return text end

for _, kind in ipairs { "level", "format", "access_format", "accept" } do
    parse[kind] = parse.string
end

function parse.list(text)
    local list = {}
    for item in text:gmatch("[^,]+") do list[#list + 1] = item end
    return list
end

parse.sites, parse.networks, parse.listen = parse.list, parse.list, parse.list

function check.integer(value)
    return type(value) == "number" and value % 1 == 0
end

function check.switch(value)
    return value == "auto" or type(value) == "boolean"
end

function check.workers(value)
    return value == "auto" or check.integer(value)
end

function check.seconds(value)
    return type(value) == "number" and value == value
end

function check.bytes(value)
    return type(value) == "number" and value >= 0 and value % 1 == 0
end

function check.boolean(value) return type(value) == "boolean" end

function check.string(value) return type(value) == "string" end

function check.level(value) return LEVELS[value] end

function check.format(value) return value == "text" or value == "json" end

function check.access_format(value) return ACCESS_FORMATS[value] end

function check.accept(value) return ACCEPT[value] end

function check.list(value)
    if type(value) ~= "table" then return false end
    for key, item in pairs(value) do
        if type(key) ~= "number" or type(item) ~= "string" then return false end
    end
    return true
end

-- Also returns what is wrong in it.
function check.networks(value)
    if not check.list(value) then return false end
    local networks, bad = proxy.networks(value)
    return networks ~= nil, bad
end

local SITE_KEYS = { "path", "host", "prefix" }

-- What is wrong with a key of a site, or nil.
local function bad_key(key, value)
    for _, known in ipairs(SITE_KEYS) do
        if key == known then
            return type(value) ~= "string" and ("%s = %s"):format(key, tostring(value)) or nil
        end
    end
    local near = util.nearest(tostring(key), SITE_KEYS)
    return ("a site with %s%s"):format(type(key) == "string" and ('"%s"'):format(key) or
        "more than that", near and (' (did you mean "%s"?)'):format(near) or "")
end

-- What is wrong with one of the list, or nil.
local function bad_site(site)
    if type(site) == "string" then return nil end
    if type(site) ~= "table" then return tostring(site) end
    for key, value in pairs(site) do
        local bad = bad_key(key, value)
        if bad then return bad end
    end
    if not site.path then return "a site without path" end
    local prefix = site.prefix
    if not prefix or prefix:find "^/[^/].*[^/]$" or prefix:find "^/[^/]$" then return nil end
    return ('prefix = "%s" (it begins with "/" and does not end with one)'):format(prefix)
end

-- Also returns what is wrong in it.
function check.sites(value)
    if type(value) ~= "table" then return false end
    if value.path then return false, "one site: put { } around it" end
    for key, site in pairs(value) do
        local bad = type(key) ~= "number" and ('"%s"'):format(tostring(key)) or bad_site(site)
        if bad then return false, bad end
    end
    return true
end

-- An address, or a table that begins with one; the rest are ssl_options, or where to redirect to,
-- which are looked at when it is opened.
local function is_listen(item)
    if type(item) == "string" then return true end
    return type(item) == "table" and type(item[1]) == "string" and #item == 1
end

function check.listen(value)
    if type(value) ~= "table" then return false end
    for key, item in pairs(value) do
        if type(key) ~= "number" or not is_listen(item) then return false end
    end
    return true
end

local EXPECTED = {
    listen = 'a list of "HOST:PORT" and { "HOST:PORT", certfile = "FILE", keyfile = "FILE" }',
    integer = "an integer", workers = "a number or auto", seconds = "seconds, as a number",
    bytes = "bytes (64K, 1M)",
    boolean = "true or false", switch = "true, false or auto",
    string = "a string", list = "a list of strings",
    networks = "a list of IP addresses and networks (10.0.0.0/8)",
    format = "text or json", access_format = "auto, tornado, combined or json",
    accept = "all, proxies or none",
    level = "debug, info, warning, error or none",
    sites = 'a list of folders or { path = "DIR", host = "NAME", prefix = "/PATH" }',
}

local function show(value)
    if type(value) == "table" then
        local all_text = #value > 0
        for _, item in ipairs(value) do all_text = all_text and type(item) == "string" end
        return all_text and table.concat(value, ", ") or "a table"
    end
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

-- The value for an option, or nil and what is wrong with it.
local function accept(option, value)
    local kind, low, high = option[2], option[5], option[6]
    if kind == "bytes" and type(value) == "string" then value = parse.bytes(value) or value end
    local good, bad = check[kind](value)
    if not good then
        return nil, ("option %s: expected %s, got %s"):format(option[1], EXPECTED[kind],
            bad or show(value))
    end
    if type(value) == "number" and (low and value < low or high and value > high) then
        return nil, ("option %s: %s is out of range (%s to %s)"):format(option[1], show(value),
            tostring(low), high and ("%d"):format(high) or "any")
    end
    return value
end

-- ctornado.conf ---------------------------------------------------------------------

-- "ctornado.conf:7": the line that calls `level` functions up.
local function place_of(path, level)
    return ("%s:%d"):format(path, debug.getinfo(level + 1, "l").currentline)
end

-- The globals that a configuration file sees: options, and env().
local function sandbox(values, places, path)
    local globals = { env = script.env, tostring = tostring, tonumber = tonumber }
    local meta = {
        __index = function(_, name)
            if by_name[name] then return values[name] end
            local near = util.nearest(tostring(name), names)
            error(('nothing here is called "%s"%s; the file may use options and env(name, ' ..
                "default)"):format(tostring(name), near and (' (did you mean "%s"?)'):format(near)
                or ""), 2)
        end,
        __newindex = function(_, name, value)
            local option = by_name[name]
            if not option or name == "config" then error(unknown(tostring(name)), 2) end
            local why
            value, why = accept(option, value)
            if why then error(why, 2) end
            values[name], places[name] = value, place_of(path, 2)
        end,
        __metatable = false,
    }
    return setmetatable(globals, meta)
end

--- Evaluates a configuration file (Lua, in a sandbox) into a table of options. Returns it, or
-- nil and the reason with file:line. `places`, a table, gets where each stands ("ctornado.conf:7").
function config.read(path, places)
    local values = {}
    local ok, why = script.run(path, sandbox(values, places or {}, path))
    if not ok then return nil, why end
    return values
end

-- The command line --------------------------------------------------------------------

local function find_own(own, name)
    for _, option in ipairs(own or {}) do
        if option[1] == name then return option end
    end
end

-- "--name=value" or "--flag" into out.options, or out.own if it is one of the command's; returns
-- why not.
local function take_option(out, argument, own)
    local name, text = argument:match("^%-%-([%w_-]+)=?(.*)$")
    local has_value = argument:find("=", 1, true)
    local mine = name and find_own(own, normal(name))
    local option = mine or name and by_name[normal(name)]
    if not option then return unknown(name or argument, own) end
    if not has_value then
        if option[2] ~= "boolean" and option[2] ~= "switch" then
            return ("option %s needs a value: --%s=..."):format(option[1], name)
        end
        text = "true"
    end
    local value = parse[option[2]](text)
    if value == nil then value = text end
    local why
    value, why = accept(option, value)
    if why then return why end
    local values = mine and out.own or out.options
    values[option[1]] = value
end

--- Splits a command line into command, options and further arguments; `stop` are the commands
-- whose arguments are their own, own(command) returns its options (as in config.OPTIONS) or nil.
-- Returns { command, options, own, rest }, or nil and what is wrong. What asks for help is the
-- command help, whose first argument is the command that stood before.
function config.parse_command_line(arguments, stop, own)
    local out = { options = {}, own = {}, rest = {} }
    for i = 1, #arguments do
        local argument = arguments[i]
        if out.command and stop[out.command] then
            out.rest[#out.rest + 1] = argument
        elseif argument == "--help" or argument == "-h" then
            out.rest = { out.command ~= "help" and out.command or nil }
            out.command = "help"
        elseif argument == "--version" then
            out.command = "version"
        elseif argument:sub(1, 1) == "-" then
            local why = take_option(out, argument, own and out.command and own(out.command))
            if why then return nil, why end
        elseif not out.command then
            out.command = argument
        else
            out.rest[#out.rest + 1] = argument
        end
    end
    return out
end

-- What the command line says otherwise than the file: a list of addresses is not for its certfile.
local function override(values, places, given)
    if given.listen and not given.certfile then values.certfile, values.keyfile = "", "" end
    for name in pairs(given) do places[name] = nil end
end

--- Joins defaults, the configuration file and the command line's options; returns the values, and
-- in `places` where those of the file stand ("ctornado.conf:7"); or nil and the reason.
function config.load(given)
    local values = {}
    for _, option in ipairs(config.OPTIONS) do values[option[1]] = option[3] end
    local path = given.config or values.config
    local from_file, places = {}, {}
    files.note(path) -- it may come
    local file, reason = io.open(path, "rb")
    if file then
        file:close()
        local why
        from_file, why = config.read(path, places)
        if not from_file then return nil, why end
    elseif given.config then
        return nil, path .. ": cannot be read: " .. reason:sub(#path + 3)
    end
    for name, value in pairs(from_file) do values[name] = value end
    for name, value in pairs(given) do values[name] = value end
    override(values, places, given)
    values.places = places
    if values.site ~= "" then values.sites, places.sites = { values.site }, places.site end
    return values
end

--- Where the first of those options stands in the configuration file, for what is wrong with it:
--- "ctornado.conf:7: "; "" when none does.
function config.place(options, list)
    for name in list:gmatch "[%w_]+" do
        local place = (options.places or {})[name]
        if place then return place .. ": " end
    end
    return ""
end

-- 65536 as "64K".
local function with_unit(bytes)
    for _, unit in ipairs { "M", "K" } do
        if bytes > 0 and bytes % UNITS[unit] == 0 then return bytes / UNITS[unit] .. unit end
    end
    return bytes
end

--- The options as lines for people, or those of a command.
function config.help(own)
    local lines = {}
    for _, option in ipairs(own or config.OPTIONS) do
        local default = option[3]
        if type(default) == "table" or default == "" then default = nil end
        if option[2] == "bytes" then default = with_unit(default) end
        lines[#lines + 1] = ("  --%-30s %s%s"):format(option[1] .. "=" .. option[2]:upper(),
            option[4], default ~= nil and (" [%s]"):format(tostring(default)) or "")
    end
    return table.concat(lines, "\n")
end

return config
