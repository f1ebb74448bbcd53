-- `ctornado routes`: all kinds of rules, in the order in which they are tried.
local escape = require "tornado.escape"
local testing = require "tornado.testing"

local new_folder = dofile "spec/tornado/new_folder.lua"

local run = testing.run_command

local SITE = [[
local routing = require "tornado.routing"
local web = require "tornado.web"

local Main = web.RequestHandler:extend "Main"
function Main:get() end
function Main:post() end

local Nameless = web.RequestHandler:extend()
Nameless.get = web.addslash(function() end)
function Nameless:put() end

local Late = web.RequestHandler:extend "Late"
function Late:get() end

local function serve(request) end

local app = web.Application({
    { "/", Main, nil, "main" },
    { "/u/([0-9]+)", Nameless },
    { "GET /f", function() return "x" end, nil, "f" },
    { "POST|PUT /f", function() return "y" end },
    { "/old", web.RedirectHandler, { url = "/new" } },
    { "/files/(.*)", web.StaticFileHandler, { path = "files" } },
    web.group("/api", { { "GET|HEAD /v", function() end, name = "v" } }),
    { "/n/.*", { { "/n/a", Main }, { routing.AnyMatches(), Late } } },
    { routing.HostMatches("x.example"), { { "/h", Main } } },
    routing.Rule(routing.PathMatches "/raw", serve),
    { "/app/.*", web.Application {} },
}, { default_handler_class = Late })
app:add_handlers("api.example", { { "/", Late } })
return app
]]

local function site(text)
    local path, put = new_folder(finally)
    put("app.lua", text)
    return path
end

-- "METHODS PATTERN HANDLER LINE NAME" of each row.
local function shown(rows)
    local list = {}
    for i, row in ipairs(rows) do
        list[i] = ("%s %s %s %s %s"):format(table.concat(row.methods, "|"), row.pattern,
            row.handler, row.place:match("^/.*/app.lua:(%d+)$") or "-", row.name or "-")
    end
    return list
end

describe("tornado.command.routes", function()
    it("shows every kind of rule", function()
        local path = site(SITE)
        local code, out, err = run { "routes", "--json", "--site=" .. path }
        assert.equal("0 ", code .. " " .. err)
        local rows = escape.json_decode(out)
        assert.same({
            "GET / Late 13 -",
            "GET|POST / Main 5 main",
            "GET|PUT /u/([0-9]+) (no name) 8 -",
            "GET|HEAD /f function 20 f",
            "POST|PUT /f function 21 f",
            "GET /old RedirectHandler - -",
            "GET|HEAD /files/(.*) StaticFileHandler - -",
            "GET|HEAD /api/v function 24 v",
            "GET|POST /n/a Main 5 -",
            "GET (any) Late 13 -",
            "GET|POST /h Main 5 -",
            " /raw function(request) 15 -",
            " /app/.* Application - -",
            "GET (all others) Late 13 -",
        }, shown(rows))
        assert.equal("api.example", rows[1].host)
        assert.equal("/new", rows[6].detail)
        assert.equal("files", rows[7].detail)
        assert.equal("/n/.*", rows[9].within)
        assert.equal("x.example", rows[11].host)
        assert.equal(path, rows[12].site)
    end)

    it("shows sites in their order, for people", function()
        local one = site 'return require("tornado.web").Application { { "GET /", function() end } }'
        local config = one .. "/conf"
        local file = assert(io.open(config, "w"))
        file:write(('sites = { %q, { path = %q, prefix = "/api" }, ' ..
            '{ path = %q, host = "B.example" } }'):format(one, one, one))
        file:close()
        local code, out, err = run { "routes", "--config=" .. config }
        assert.equal("0 ", code .. " " .. err)
        local row = "  GET|HEAD  /  function  " .. one .. "/app.lua:1\n"
        assert.equal(one .. ", host b.example:\n" .. row .. "\n" .. one .. ", under /api:\n" ..
            row .. "\n" .. one .. ":\n" .. row, out)
    end)

    it("says what is wrong", function()
        local code, _, err = run { "routes", "--site=/nonexistent" }
        assert.equal(1, code)
        assert.matches("^ctornado: /nonexistent: no such site", err)
        code, _, err = run { "routes", "--config=/dev/null" }
        assert.equal(1, code)
        assert.matches("^ctornado: no sites in /dev/null and no %-%-site=DIR", err)
        code, _, err = run { "routes", "this" }
        assert.equal(2, code)
        assert.matches("^ctornado: routes takes no arguments, got this", err)
        code, _, err = run { "routes", "--jsno" }
        assert.equal(2, code)
        assert.matches('unknown option "jsno" %(did you mean "json"', err)
    end)
end)
