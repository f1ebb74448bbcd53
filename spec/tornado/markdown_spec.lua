-- tornado.markdown: what it renders, and what it lets through.
local core = require "tornado.core"
local markdown = require "tornado.markdown"
local util = require "tornado.util"

describe("tornado.markdown", function()
    it("renders CommonMark, tables and strikethrough", function()
        assert.equal("<h2>A <em>b</em></h2>\n<p><del>c</del></p>\n",
            markdown.to_html("## A *b*\n\n~~c~~\n"))
        assert.truthy(markdown.to_html("| a |\n|---|\n| b |\n"):find("<td>b</td>", 1, true))
        assert.equal('<pre><code class="language-lua">x &lt; y\n</code></pre>\n',
            markdown.to_html("```lua\nx < y\n```\n"))
        assert.equal("", markdown.to_html(""))
    end)

    it("gives the whole of what is longer than its first guess", function()
        local text = ("*a*\n\n"):rep(2000)
        assert.equal(("<p><em>a</em></p>\n"):rep(2000), markdown.to_html(text))
    end)

    it("writes HTML in the text as text", function()
        assert.equal("<p>&lt;b&gt;x&lt;/b&gt;</p>\n", markdown.to_html("<b>x</b>"))
        assert.equal("<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n",
            markdown.to_html("<script>alert(1)</script>"))
    end)

    it("keeps links to http, https, mailto and the site itself", function()
        for _, url in ipairs { "https://a.example/b:c", "http://a", "mailto:a@b", "/a?b=c:d",
            "../x", "#a:b", "page.md" } do
            local html = markdown.to_html("[x](" .. url .. ")")
            assert.equal(('<p><a href="%s">x</a></p>\n'):format(url), html)
        end
        for _, url in ipairs { "javascript:alert(1)", "JavaScript:a", "java&#115;cript:a",
            "javascript&colon;a", "data:text/html,x", "vbscript:x", "<&#1;javascript:x>",
            "file:///etc/passwd" } do
            local html = markdown.to_html("[x](" .. url .. ") ![y](" .. url .. ")")
            assert.equal('<p><a href="">x</a> <img src="" alt="y"></p>\n', html, url)
        end
        assert.equal('<p><a href="">javascript:a</a></p>\n',
            markdown.to_html("<javascript:a>"))
    end)

    it("makes spaces of control characters", function()
        assert.equal("<p>a b c</p>\n", markdown.to_html("a\0b\127c"))
    end)

    it("refuses what it cannot take, and says what it expected", function()
        assert.has_error(function() markdown.to_html(nil) end,
            "bad text: expected string, got nil")
        assert.has_error(function() markdown.to_html("abcd", { max_size = 3 }) end,
            "bad text: expected at most 3 bytes, got 4")
        assert.has_error(function() markdown.to_html("a", { max = 3 }) end,
            'to_html: unknown option "max" (known: max_size)')
        assert.has_error(function() markdown.to_html(("a"):rep(1048577)) end,
            "bad text: expected at most 1048576 bytes, got 1048577")
    end)

    it("raises a MarkdownError where the library is not there", function()
        local real = core.markdown
        finally(function() core.markdown = real end)
        core.markdown = function() return nil, "no library" end
        local ok, err = pcall(markdown.to_html, "a")
        assert.falsy(ok)
        assert.truthy(util.isinstance(err, markdown.MarkdownError))
        assert.equal("MarkdownError: no library", tostring(err))
    end)

    it("has the source of all modules", function()
        local scripts = core.scripts()
        assert.truthy(scripts["tornado.markdown"]:find("function markdown.to_html", 1, true))
        assert.truthy(scripts["tornado.web.handler"])
    end)
end)
