-- tornado.web.json_body: JSON bodies, schemas for handlers, and what answers bad input.
local escape = require "tornado.escape"
local schema = require "tornado.schema"
local testing = require "tornado.testing"
local web = require "tornado.web"

local JSON = { ["Content-Type"] = "application/json" }

local function serve(fn)
    return testing.serve(web.Application { { "GET|POST /", fn } })
end

local function post(server, body, headers)
    return server:fetch("/", { body = body, headers = headers or JSON })
end

describe("tornado.web.json_body", function()
    describe("json", function()
        it("is the value of the body, parsed once", function()
            local server = serve(function(handler)
                assert(rawequal(handler:json(), handler:json()))
                return { got = handler:json() }
            end)
            assert.same({ got = { a = { 1, 2 } } }, post(server, '{"a":[1,2]}'):json())
            assert.same({ got = escape.null }, post(server, "null"):json())
        end)

        it("wants a type of JSON, unless forced", function()
            testing.expect_log("415 POST / .*expected a body of type application/json, got")
            local server = serve(function(handler)
                local forced = handler:get_query_argument("f", nil) == "1"
                return { got = handler:json { force = forced } }
            end)
            for _, good in ipairs {
                "application/json; charset=utf-8", "Application/JSON", "application/problem+json",
            } do
                assert.equal(200, post(server, "1", { ["Content-Type"] = good }).code)
            end
            for _, bad in ipairs { "text/plain", "application/jsonx", "text/x+json" } do
                assert.equal(415, post(server, "1", { ["Content-Type"] = bad }).code)
            end
            local response = post(server, "1", {})
            assert.equal(415, response.code)
            assert.equal("expected a body of type application/json, got none",
                response:json().error)
            assert.equal(200, server:fetch("/?f=1", { body = "1" }).code)
        end)

        it("says what is wrong, and where", function()
            testing.expect_log("400 POST / .*Invalid JSON")
            local server = serve(function(handler) return { got = handler:json() } end)
            local response = post(server, '{"a": x}')
            assert.equal(400, response.code)
            assert.equal("application/json; charset=UTF-8", response.headers:get("Content-Type"))
            assert.matches("^Invalid JSON: .* at character 7$", response:json().error)
            assert.equal(7, response:json().offset)
            assert.equal("Invalid JSON: the body is empty", post(server, ""):json().error)
            assert.equal("Invalid JSON: not UTF-8", post(server, '"\255"'):json().error)
        end)
    end)

    describe("validate", function()
        local person = schema.object {
            name = schema.string { min = 1, max = 80 }, age = schema.integer { min = 0 }:default(7),
        }

        it("returns the value with its defaults", function()
            local server = serve(function(handler) return handler:validate(person) end)
            assert.same({ name = "Ada", age = 7 }, post(server, '{"name":"Ada"}'):json())
        end)

        it("answers 400 with every fault, and logs no values", function()
            local logged = testing.expect_log("Validation failed: /age, /name, /extra")
            local server = serve(function(handler) return handler:validate(person) end)
            local response = post(server, '{"age":"<x>","extra":1}')
            assert.equal(400, response.code)
            assert.same({ error = "Validation failed", faults = {
                { path = "/age", message = 'expected an integer, got "<x>"' },
                { path = "/name", message = "missing" },
                { path = "/extra", message = "unknown" },
            } }, response:json())
            assert.is_nil(logged.text:find("<x>", 1, true))
        end)

        it("answers in HTML when that is preferred", function()
            testing.expect_log("Validation failed")
            local server = serve(function(handler) return handler:validate(person) end)
            local function type_for(accept)
                local response = post(server, '{"name":"a","age":"<x>"}',
                    { ["Content-Type"] = "application/json", Accept = accept })
                return response.headers:get("Content-Type"), response.body
            end
            local kind, body = type_for("text/html,application/xhtml+xml,*/*;q=0.8")
            assert.equal("text/html; charset=UTF-8", kind)
            assert.equal("<html><title>400: Bad Request</title><body>400: Bad Request" ..
                "<p>Validation failed</p><ul><li>/age: expected an integer, got " ..
                "&quot;&lt;x&gt;&quot;</li></ul></body></html>", body)
            for _, accept in ipairs { "*/*", "application/json", "text/html;q=0",
                "application/json, text/html;q=0.9" } do
                assert.equal("application/json; charset=UTF-8", (type_for(accept)))
            end
        end)

        it("refuses what is no schema", function()
            testing.expect_log("json_body_spec.lua:%d+: bad schema")
            local server = serve(function(handler) handler:validate {} end)
            assert.equal(500, post(server, "{}").code)
        end)
    end)

    describe("validate_arguments", function()
        local search = schema.object {
            q = schema.string { min = 1 }, page = schema.integer { min = 1 }:default(1),
            tag = schema.array(schema.string()):optional(),
        }
        local function get(handler) return handler:validate_arguments(search) end

        it("makes values of text", function()
            local server = serve(get)
            assert.same({ q = "x", page = 2, tag = { "a", "b" } },
                server:fetch("/?q=x&page=2&tag=a&tag=b&_xsrf=1"):json())
            assert.same({ q = "y", page = 1 }, server:fetch("/?q=x", {
                body = "q=y&page=",
                headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
            }):json())
        end)

        it("answers 400 with every fault", function()
            testing.expect_log("Validation failed")
            local response = serve(get):fetch("/?page=x&other=%C3%A9")
            assert.equal(400, response.code)
            assert.same({
                { path = "/page", message = 'expected an integer, got "x"' },
                { path = "/q", message = "missing" },
                { path = "/other", message = "unknown" },
            }, response:json().faults)
        end)

        it("answers 400 for names that are not UTF-8", function()
            testing.expect_log("Invalid unicode")
            assert.equal(400, serve(get):fetch("/?q=1&%FF=1").code)
        end)
    end)
end)
