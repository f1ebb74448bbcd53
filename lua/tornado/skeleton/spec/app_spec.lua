-- What must hold of this site: `ctornado test DIR/spec`.
local sites = require "tornado.sites"
local testing = require "tornado.testing"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/spec/[^/]*$") or "."

describe("the site", function()
    local server

    before_each(function()
        server = testing.serve(assert(sites.load(folder)))
    end)

    it("has a page, and what that refers to", function()
        local page = server:fetch("/")
        assert.equal(200, page.code)
        assert.matches("<h1>Hello, world</h1>", page.body)
        for path in page.body:gmatch '="(/static/[^"]+)"' do
            assert.equal(200, server:fetch(path).code)
        end
    end)

    it("greets whom it is told to, as text", function()
        assert.matches("<h1>Hello, &lt;b&gt;</h1>", server:fetch("/?name=%3Cb%3E").body)
        assert.same({ hello = "Ada" }, server:fetch("/api/hello/Ada"):json())
    end)

    it("answers 404 for what it has not", function()
        assert.equal(404, server:fetch("/nothing").code)
    end)
end)
