-- tornado.sites: loading site folders, and choosing one by host and path.
local ioloop = require "tornado.ioloop"
local sites = require "tornado.sites"
local testing = require "tornado.testing"

-- Folders with these files (path -> text) for the length of the case; returns their parent.
local function folder(files)
    local root = os.tmpname()
    os.remove(root)
    for path, text in pairs(files) do
        local name = root .. "/" .. path
        os.execute("mkdir -p " .. name:match("^(.*)/"))
        local file = assert(io.open(name, "w"))
        file:write(text)
        file:close()
    end
    return root
end

local function says(text)
    return ([[
        local web = require "tornado.web"
        local Main = web.RequestHandler:extend "Main"
        function Main:get() self:write(%q .. " " .. self.request.path) end
        return web.Application { { "/.*", Main } }
    ]]):format(text)
end

describe("tornado.sites", function()
    local root

    local function make(files)
        root = folder(files)
        return root
    end

    after_each(function()
        if root then os.execute("rm -rf " .. root) end
        root = nil
    end)

    describe("load", function()
        it("returns the application of app.lua", function()
            make { ["a/app.lua"] = says "a" }
            local app = assert(sites.load(root .. "/a"))
            assert.equal(root .. "/a", app.path)
            assert.equal("a /x", testing.serve(app):fetch("/x").body)
        end)

        it("lets app.lua require what lies beside it", function()
            local before = package.path
            finally(function() package.path = before end)
            make { ["a/app.lua"] = "require 'sites_spec_part' " .. says "a",
                ["a/sites_spec_part.lua"] = "return {}" }
            assert.is_table(sites.load(root .. "/a"))
            package.loaded.sites_spec_part = nil
        end)

        it("lets threads find what lies beside app.lua, each site its own", function()
            local function site(text)
                return [[
                    local web = require "tornado.web"
                    local ioloop = require "tornado.ioloop"
                    return web.Application { { "GET /", function()
                        return { said = ioloop.run_in_executor("parts.part", "say") }
                    end } }
                ]], ([[
                    local part = require "words"
                    return { say = function() return part.word .. %q end }
                ]]):format(text), ("return { word = %q }"):format("the word of ")
            end
            local files = {}
            for _, name in ipairs { "a", "b" } do
                files[name .. "/app.lua"], files[name .. "/parts/part.lua"],
                    files[name .. "/words.lua"] = site(name)
            end
            make(files)
            for _ = 1, 2 do
                for _, name in ipairs { "a", "b" } do
                    local app = assert(sites.load(root .. "/" .. name))
                    local reply = testing.serve(app):fetch "/"
                    assert.equal('{"said":"the word of ' .. name .. '"}', reply.body)
                end
            end
            assert.equal("the word of a", ioloop.run_in_executor("parts.part", "say"))
        end)

        it("says what is wrong, with file and line", function()
            make {
                ["syntax/app.lua"] = "\nlocal = 5", ["raises/app.lua"] = "\nerror('no')",
                ["object/app.lua"] = "error({})", ["nothing/app.lua"] = "",
                ["text/app.lua"] = "return 'x'", ["table/app.lua"] = "return {}",
                ["class/app.lua"] = "return require('tornado.util').Object:extend('Odd')()",
                ["module/app.lua"] = "require 'no.such.module'", ["empty/x"] = "",
                ["nilerror/app.lua"] = "error()",
            }
            for name, pattern in pairs {
                syntax = "/app.lua:2: ", raises = "/app.lua:2: no\nstack traceback",
                object = "/app.lua: table: ",
                text = "expected it to return a web.Application, got string",
                nothing = "expected it to return a web.Application, got nil",
                table = "expected it to return a web.Application, got a table",
                class = "expected it to return a web.Application, got Odd",
                module = "module 'no.such.module' not found",
                empty = "/app.lua: missing", none = "no such site", nilerror = "/app.lua: nil",
            } do
                local app, why = sites.load(root .. "/" .. name)
                assert.is_nil(app)
                assert.matches(pattern, why)
                assert.truthy(why:find(root .. "/" .. name, 1, true))
            end
        end)
    end)

    it("names the file of a bad route, though app.lua ends with a tail call", function()
        make { ["a/app.lua"] = "\n\nreturn require('tornado.web').Application { { '(', 5 } }" }
        local app, why = sites.load(root .. "/a")
        assert.is_nil(app)
        assert.matches("bad url pattern", why)
        assert.truthy(why:find(root .. "/a/app.lua", 1, true))
    end)

    describe("load_all", function()
        it("gives the one site as it is", function()
            make { ["a/app.lua"] = says "a" }
            local app = assert(sites.load_all { root .. "/a" })
            assert.equal(root .. "/a", app.path)
        end)

        it("chooses by host and by the longest prefix", function()
            make { ["a/app.lua"] = says "a", ["b/app.lua"] = says "b", ["c/app.lua"] = says "c",
                ["d/app.lua"] = says "d" }
            local app = assert(sites.load_all {
                root .. "/a", { path = root .. "/b", prefix = "/b" },
                { path = root .. "/c", prefix = "/b/c" },
                { path = root .. "/d", host = "D.example" },
            })
            local server = testing.serve(app)
            for path, expected in pairs {
                ["/"] = "a /", ["/x?y"] = "a /x", ["/b"] = "b /", ["/b/"] = "b /",
                ["/b/x"] = "b /x", ["/bx"] = "a /bx", ["/b/c"] = "c /", ["/b/c/d"] = "c /d",
                ["/b/cd"] = "b /cd",
            } do
                assert.equal(expected, server:fetch(path).body)
            end
            for _, host in ipairs { "d.EXAMPLE:80", "d.example", "d.example:" } do
                assert.equal("d /b/c", server:fetch("/b/c", { headers = { Host = host } }).body)
            end
            assert.equal("c /", server:fetch("/b/c", { headers = { Host = "d.example.x" } }).body)
        end)

        it("keeps the prefix where a slash is added or taken away", function()
            make { ["a/app.lua"] = [[
                local web = require("tornado.web")
                local A, B = web.RequestHandler:extend(), web.RequestHandler:extend()
                A.get = web.addslash(function(self) self:write("a") end)
                B.get = web.removeslash(function(self) self:write("b") end)
                return web.Application { { "/a/?", A }, { "/b/?", B } }
            ]] }
            local server = testing.serve(assert(sites.load_all {
                { path = root .. "/a", prefix = "/p" },
            }))
            assert.equal("/p/a/?x=1", server:fetch("/p/a?x=1").headers:get("Location"))
            assert.equal("/p/b", server:fetch("/p/b/").headers:get("Location"))
            assert.equal("a", server:fetch("/p/a/").body)
        end)

        it("gives a site below a prefix its arguments, too", function()
            make { ["a/app.lua"] = [[
                return require("tornado.web").Application { { "GET /x", function(handler)
                    local request = handler.request
                    return request.query .. " " .. handler:get_argument("q", "none") .. " " ..
                        #handler:get_arguments("q") .. " " .. request.uri
                end } }
            ]] }
            local server = testing.serve(assert(sites.load_all {
                { path = root .. "/a", prefix = "/long/prefix" },
            }))
            assert.equal("q=1&b=2 1 1 /long/prefix/x?q=1&b=2",
                server:fetch("/long/prefix/x?q=1&b=2").body)
            assert.equal(" none 0 /long/prefix/x", server:fetch("/long/prefix/x").body)
            assert.equal(" none 0 /long/prefix/x?", server:fetch("/long/prefix/x?").body)
        end)

        it("answers 404 when no site fits", function()
            make { ["a/app.lua"] = says "a" }
            local server = testing.serve(assert(sites.load_all {
                { path = root .. "/a", host = "only.example", prefix = "/p" },
            }))
            assert.equal(404, server:fetch("/p").code)
            assert.equal(404, server:fetch("/", { headers = { Host = "only.example" } }).code)
            assert.equal("a /", server:fetch("/p", { headers = { Host = "only.example" } }).body)
        end)

        it("reports every site that is broken", function()
            make { ["a/app.lua"] = "error('first')", ["b/app.lua"] = says "b",
                ["c/app.lua"] = "error('second')" }
            local app, reasons = sites.load_all { root .. "/a", root .. "/b", root .. "/c" }
            assert.is_nil(app)
            assert.equal(2, #reasons)
            assert.matches("first", reasons[1])
            assert.matches("second", reasons[2])
        end)
    end)
end)
